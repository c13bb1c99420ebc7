"""How a result gets back: within the answer as base64, or as an address in a bucket where it is too large for that."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from penstock_worker.settings import Bucket

MAX_ANSWER_BYTES: Final = 7_000_000  # RunPod takes 10 MB of JSON, and base64 adds a third
MEDIA_TYPES: Final[Mapping[str, str]] = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "mp4": "video/mp4",
}


@dataclass(frozen=True)
class Made:
    """A result: its bytes, and what it is in a few words; see README.md."""

    content: bytes
    form: str
    facts: Mapping[str, Any]


class Upload(Protocol):
    """Puts a file into a bucket."""

    def __call__(self, bucket: Bucket, key: str, content: bytes, media_type: str) -> str:
        """Return an address at which it can be had for a while."""
        ...


def packed(made: Made, job: Mapping[str, Any], bucket: Bucket | None, upload: Upload) -> dict[str, Any]:
    """Return the output of a job.

    Args:
        job: as RunPod gave it; its `s3Config`, which the caller may send beside the input, goes before `bucket`.

    Errors: ResultTooLargeError.
    """
    name = "video" if made.form == "mp4" else "image"
    media_type = MEDIA_TYPES[made.form]
    facts = {**made.facts, "media_type": media_type, "bytes": len(made.content)}
    if len(made.content) <= MAX_ANSWER_BYTES:
        return {name: base64.b64encode(made.content).decode(), **facts}
    target = _named(job.get("s3Config")) or bucket
    if target is None:
        raise ResultTooLargeError(len(made.content))
    return {f"{name}_url": upload(target, f"{job['id']}/{name}.{made.form}", made.content, media_type), **facts}


class ResultTooLargeError(Exception):
    """There is nowhere to put a result."""

    def __init__(self, count: int) -> None:
        super().__init__(
            f"the result takes {count:,} bytes, and an answer {MAX_ANSWER_BYTES:,}: "
            "set BUCKET_ENDPOINT_URL and its neighbours, or ask for less"
        )


def _named(configuration: object) -> Bucket | None:
    names = ("endpointUrl", "accessId", "accessSecret", "bucketName")
    if not isinstance(configuration, dict) or not all(isinstance(configuration.get(name), str) for name in names):
        return None
    return Bucket(*(configuration[name] for name in names))
