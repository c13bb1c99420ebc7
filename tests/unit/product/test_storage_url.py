"""What `PENSTOCK_STORAGE_URL` may say, and what it says back when it may not."""

import pytest

from penstock.product.settings import SettingsError, read_settings
from penstock.product.storage_url import BucketAddress, read_storage_url


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("s3://photos", BucketAddress("photos")),
        ("s3://photos/", BucketAddress("photos")),
        ("s3://photos/a/b/?region=eu-west-1", BucketAddress("photos", "a/b", region="eu-west-1")),
        (
            "s3://photos?endpoint=http://127.0.0.1:9000/&public_endpoint=https://Files.example.org:443/s3/",
            BucketAddress("photos", "", "http://127.0.0.1:9000", public_endpoint="https://files.example.org/s3"),
        ),
        ("s3://photos?endpoint=http%3A%2F%2F%5B%3A%3A1%5D%3A80", BucketAddress("photos", endpoint="http://[::1]")),
    ],
)
def test_what_is_meant(written: str, meant: BucketAddress) -> None:
    assert read_storage_url(written) == meant
    assert read_settings({"PENSTOCK_STORAGE_URL": written}).storage == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("/srv/files", "must be the address of a bucket such as"),
        ("https://photos.s3.amazonaws.com", "must be the address of a bucket such as"),
        ("s3://photos#a", "must be the address of a bucket such as"),
        ("s3://", "must name a bucket"),
        ("s3://Photos", "must name a bucket"),
        ("s3://ab", "must name a bucket"),
        ("s3://KEY:SECRETSECRET@photos", "must not hold keys: set AWS_ACCESS_KEY_ID"),
        ("s3://photos/../other", "must have a prefix of letters"),
        ("s3://photos/a//b", "must have a prefix of letters"),
        ("s3://photos/" + "a" * 101, "must have a prefix of letters"),
        ("s3://photos?secret=SECRETSECRET", "no other options than endpoint, public_endpoint, region"),
        ("s3://photos?region=EU west", "must name a region"),
        ("s3://photos?region=", "must name a region"),
        ("s3://photos?endpoint=", "must have as endpoint an address"),
        ("s3://photos?endpoint=minio:9000", "must have as endpoint an address"),
        ("s3://photos?endpoint=http://minio:x", "must have as endpoint an address"),
        ("s3://photos?endpoint=http://KEY:SECRETSECRET@minio", "must have as endpoint an address"),
        ("s3://photos?public_endpoint=ftp://minio", "must have as public_endpoint an address"),
    ],
)
def test_what_is_wrong(written: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings({"PENSTOCK_STORAGE_URL": written})
    (complaint,) = caught.value.complaints
    assert complaint.startswith("PENSTOCK_STORAGE_URL must")
    assert said in complaint
    assert "SECRETSECRET" not in complaint


def test_where_files_lie_in_it() -> None:
    assert read_storage_url("s3://photos/a/b").path_of("results/x") == "a/b/results/x"
    assert read_storage_url("s3://photos").path_of("results/x") == "results/x"
