"""The JSON of uploads and results."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from penstock.kit.clock import optional_rfc3339, rfc3339
from penstock.media.queries import Result, Upload

MAX_ANNOUNCED_BYTES: Final = 1 << 40  # far beyond any limit of ours: what fits a column

_UPLOAD_EXAMPLE: Final[dict[str, Any]] = {
    "id": "upl_0h3kz2v9q1m4x7c2b8n5j6d0s1a",
    "media_type": "image/jpeg",
    "bytes": 3482911,
    "width": 4032,
    "height": 3024,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "corners": [[0.08, 0.11], [0.93, 0.09], [0.95, 0.9], [0.06, 0.92]],
    "expires_at": "2026-11-21T09:30:00.250Z",
}
_PRESIGN_EXAMPLE: Final[dict[str, Any]] = {
    "id": "upl_0h3kz2v9q1m4x7c2b8n5j6d0s1a",
    "url": "https://my-bucket.s3.eu-west-1.amazonaws.com",
    "fields": {"key": "incoming/1a/upl_0h3kz2v9q1m4x7c2b8n5j6d0s1a", "policy": "eyJ…", "x-amz-signature": "5d1…"},
    "expires_at": "2026-11-20T10:00:00.250Z",
}
_VARIANT_EXAMPLE: Final[dict[str, Any]] = {
    "name": "full",
    "media_type": "image/jpeg",
    "bytes": 412004,
    "width": 1080,
    "height": 720,
}
_RESULT_EXAMPLE: Final[dict[str, Any]] = {
    "id": "res_0h3kz5t8w2n6x1c4b9m7j3d5s0f",
    "job": "job_0h3kz4a7e9k2v5q8w1n3x6c0b4m",
    "operation": "restore",
    "media_type": "image/jpeg",
    "bytes": 412004,
    "width": 1080,
    "height": 720,
    "created_at": "2026-11-20T09:30:08.100Z",
    "expires_at": "2026-11-27T09:30:08.100Z",
    "variants": [
        _VARIANT_EXAMPLE,
        {"name": "thumb", "media_type": "image/webp", "bytes": 18332, "width": 480, "height": 320},
        {"name": "compare", "media_type": "image/jpeg", "bytes": 655120, "width": 1080, "height": 1446},
        {"name": "original", "media_type": "image/jpeg", "bytes": 431877, "width": 1080, "height": 720},
    ],
}


class UploadView(BaseModel):
    """A picture that was taken in. The original file is gone by now; a clean copy of its pixels waits for a job."""

    model_config = ConfigDict(json_schema_extra={"examples": [_UPLOAD_EXAMPLE]})

    id: str
    media_type: str = Field(description="of the file that was sent, told by its content")
    bytes: int = Field(description="of the file that was sent")
    width: int = Field(description="pixels, upright")
    height: int = Field(description="pixels, upright")
    sha256: str = Field(description="of the file that was sent")
    corners: list[tuple[float, float]] | None = Field(
        description="where a photo lies in the picture: four [x, y] in 0..1, clockwise from top left"
    )
    expires_at: str

    @classmethod
    def of(cls, upload: Upload) -> "UploadView":
        """Show an upload."""
        return cls(
            id=upload.id,
            media_type=upload.media_type,
            bytes=upload.bytes,
            width=upload.width,
            height=upload.height,
            sha256=upload.sha256,
            corners=None if upload.corners is None else list(upload.corners),
            expires_at=rfc3339(upload.expires_at),
        )


class PresignRequest(BaseModel):
    """What is about to be uploaded."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"bytes": 3482911, "media_type": "image/jpeg"}]})

    bytes: int = Field(ge=1, le=MAX_ANNOUNCED_BYTES, description="exactly how many will be sent")
    media_type: str = Field(max_length=100, description="as the client sees it; empty if it can't tell")


class PresignView(BaseModel):
    """Where to send a picture: a `multipart/form-data` POST of all `fields` and then the picture as `file`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PRESIGN_EXAMPLE]})

    id: str = Field(description="for `POST /uploads/{id}/complete`, and of the upload afterwards")
    url: str = Field(description="where to send it, without credentials")
    fields: dict[str, str] = Field(description="of the form, before the field `file`; there may be none")
    expires_at: str = Field(description="when it must have been sent and handed in")


class VariantView(BaseModel):
    """One file of a result."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VARIANT_EXAMPLE]})

    name: str = Field(
        description="`full`, `thumb`, `compare`, `original`, `poster` of a video, or what the operation makes beside"
    )
    media_type: str
    bytes: int
    width: int = Field(description="pixels; 0 for what has none")
    height: int = Field(description="pixels; 0 for what has none")
    duration_s: float | None = Field(default=None, description="seconds, of a video")


class ResultView(BaseModel):
    """What a job made."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RESULT_EXAMPLE]})

    id: str
    job: str
    operation: str
    media_type: str
    bytes: int
    width: int
    height: int
    duration_s: float | None = Field(default=None, description="seconds, of a video")
    created_at: str
    expires_at: str | None = Field(description="null: kept")
    variants: list[VariantView]

    @classmethod
    def of(cls, result: Result) -> "ResultView":
        """Show a result."""
        return cls(
            id=result.id,
            job=result.job_id,
            operation=result.operation,
            media_type=result.media_type,
            bytes=result.bytes,
            width=result.width,
            height=result.height,
            duration_s=result.variants[0].duration_s,
            created_at=rfc3339(result.created_at),
            expires_at=optional_rfc3339(result.expires_at),
            variants=[
                VariantView(
                    name=variant.name,
                    media_type=variant.media_type,
                    bytes=variant.bytes,
                    width=variant.width,
                    height=variant.height,
                    duration_s=variant.duration_s,
                )
                for variant in result.variants
            ],
        )
