"""Results in an S3 bucket, under a signed address.

Not RunPod's own `rp_upload`: without credentials that writes to the container's disk and calls it done, it sends no
media type, and its addresses live for a week.
"""

import boto3
from botocore.config import Config

from penstock_worker.settings import Bucket

ADDRESS_LIVES_S = 3_600  # RunPod itself keeps an answer for half an hour
TRIES = 3


def upload(bucket: Bucket, key: str, content: bytes, media_type: str) -> str:
    """Put a file into a bucket, and return an address at which it can be had for an hour. Errors: botocore's."""
    client = boto3.client(
        "s3",
        endpoint_url=bucket.endpoint,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        region_name=bucket.region,
        config=Config(signature_version="s3v4", retries={"max_attempts": TRIES, "mode": "standard"}),
    )
    client.put_object(Bucket=bucket.name, Key=key, Body=content, ContentType=media_type)
    place = {"Bucket": bucket.name, "Key": key}
    return str(client.generate_presigned_url("get_object", Params=place, ExpiresIn=ADDRESS_LIVES_S))
