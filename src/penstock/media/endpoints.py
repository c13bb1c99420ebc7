"""Uploads and results over HTTP. The app mounts this router under `/api/v1`; `app.state.media` is the service."""

import hashlib
from typing import Annotated, Any, Final
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse, StreamingResponse

from penstock.kit.caller import RequiredCaller
from penstock.kit.clock import rfc3339
from penstock.kit.errors import not_found
from penstock.media.direct import DirectUploads
from penstock.media.queries import Variant
from penstock.media.ranges import UnsatisfiableRangeError, asked_part, is_known
from penstock.media.schemas import PresignRequest, PresignView, ResultView, UploadView
from penstock.media.service import MediaService, extension_of

MAX_TIME_S: Final = 1 << 40  # seconds since 1970: what fits a column
CACHE_S: Final = 300  # seconds that a browser may go without asking, so also that a deleted picture may linger in it

router = APIRouter(tags=["pictures"])


def media_of(request: Request) -> MediaService:
    """Return the service that the app holds."""
    service = request.app.state.media
    assert isinstance(service, MediaService)
    return service


def direct_of(request: Request) -> DirectUploads:
    """Return the service for pictures that are sent past this server."""
    direct = request.app.state.direct
    assert isinstance(direct, DirectUploads)
    return direct


Media = Annotated[MediaService, Depends(media_of)]
Direct = Annotated[DirectUploads, Depends(direct_of)]

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_UPLOAD_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "image/jpeg": _BINARY,
            "image/png": _BINARY,
            "image/webp": _BINARY,
            "image/heic": _BINARY,
        },
    }
}
_FILE_TYPES: Final = ("image/jpeg", "image/png", "image/webp", "image/svg+xml", "application/pdf", "video/mp4")
_FILE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The bytes.",
        "content": dict.fromkeys(_FILE_TYPES, _BINARY),
    },
    206: {"description": "The part asked for by `Range`."},
    302: {"description": "Where files lie in object storage: an address that gives the bytes for some minutes."},
    304: {"description": "The client has it already (`If-None-Match`)."},
    416: {"description": "`Range` lies outside the file."},
}


@router.post(
    "/uploads",
    status_code=201,
    summary="Upload a picture",
    openapi_extra=_UPLOAD_BODY,
)
async def upload(request: Request, media: Media, caller: RequiredCaller) -> UploadView:
    """Send one picture, as the field `file` of a form or as the raw body: JPEG, PNG, WebP or HEIC.

    Its type is told by content. What is kept until it expires is a clean copy of the pixels: upright, without
    location, camera or any other metadata. `corners` suggests where a photo lies in the picture.
    """
    return UploadView.of(await media.receive(request, caller.account_id))


@router.post(
    "/uploads/presign",
    summary="Ask for an address to send a picture to",
)
async def presign(request: Request, direct: Direct, caller: RequiredCaller, body: PresignRequest) -> PresignView:
    """Announce a picture and get an address to send it to, past this server where files lie in object storage.

    POST a form with all `fields` and then the picture as the field `file` there, without credentials, within 15
    minutes; then call `POST /uploads/{id}/complete`. Exactly `bytes` bytes are taken. Where files lie in a folder the
    address is one of this server, so clients need not know; `POST /uploads` is quicker then (see `uploads.direct` of
    `GET /product`).
    """
    slip, form = await direct.presign(caller.account_id, body.bytes, body.media_type, _own_address(request, direct))
    return PresignView(id=slip.id, url=form.url, fields=dict(form.fields), expires_at=rfc3339(slip.expires_at))


@router.post(
    "/uploads/{upload_id}/complete",
    status_code=201,
    summary="Hand in a picture that was sent",
    responses={200: {"model": UploadView, "description": "Handed in before: the same upload"}},
)
async def complete_upload(response: Response, direct: Direct, caller: RequiredCaller, upload_id: str) -> UploadView:
    """Make an upload of what was sent to the address of `POST /uploads/presign`. Repeating it is safe."""
    upload, new = await direct.complete(upload_id, caller.account_id)
    response.status_code = 201 if new else 200
    return UploadView.of(upload)


@router.post(
    "/uploads/{upload_id}/content",
    status_code=204,
    summary="Send an announced picture",
    openapi_extra=_UPLOAD_BODY,
)
async def send_content(
    request: Request,
    direct: Direct,
    upload_id: str,
    until: Annotated[int, Query(ge=0, le=MAX_TIME_S, description="from the address")],
    signature: Annotated[str, Query(max_length=64, description="from the address")],
) -> None:
    """Take the picture at an address that `POST /uploads/presign` gave, where files lie in a folder; once."""
    await direct.receive(request, upload_id, until, signature)


@router.get(
    "/uploads/{upload_id}",
    summary="Look at an upload",
)
async def show_upload(media: Media, caller: RequiredCaller, upload_id: str) -> UploadView:
    """Return an upload that has not expired."""
    return UploadView.of(await media.upload(upload_id, caller.account_id))


@router.get(
    "/uploads/{upload_id}/file",
    summary="Get the clean picture of an upload",
    response_class=Response,
    responses=_FILE_RESPONSES,
)
async def upload_file(request: Request, media: Media, caller: RequiredCaller, upload_id: str) -> Response:
    """Return the picture as JPEG, upright: also what a browser that can't show HEIC shows."""
    found = await media.upload(upload_id, caller.account_id)
    return await _send(request, media, found.key, "image/jpeg", _disposition("upload", "image/jpeg", download=False))


@router.get(
    "/results/{result_id}",
    summary="Look at a result",
)
async def show_result(media: Media, caller: RequiredCaller, result_id: str) -> ResultView:
    """Return what a job made, with its files."""
    return ResultView.of(await media.result(result_id, caller.account_id))


@router.get(
    "/results/{result_id}/file",
    summary="Get a file of a result",
    response_class=Response,
    responses=_FILE_RESPONSES,
)
async def result_file(
    request: Request,
    media: Media,
    caller: RequiredCaller,
    result_id: str,
    variant: Annotated[str, Query(max_length=40, description="a name from `variants`")] = "full",
    download: Annotated[bool, Query(description="ask the browser to save it under a good name")] = False,
) -> Response:
    """Return the bytes, whole or in part."""
    result = await media.result(result_id, caller.account_id)
    found = result.variant(variant)
    if found is None:
        raise not_found(f"file in this result; it has {', '.join(known.name for known in result.variants)}")
    name = result.operation if variant == "full" else f"{result.operation}-{variant}"
    return await _send(request, media, found.key, found.media_type, _disposition_of(name, found, download=download))


@router.delete(
    "/results/{result_id}",
    status_code=204,
    summary="Delete a result",
)
async def delete_result(media: Media, caller: RequiredCaller, result_id: str) -> None:
    """Delete a result for good: when this answers, the bytes are gone."""
    await media.delete(result_id, caller.account_id)


def _own_address(request: Request, direct: DirectUploads) -> str:
    """Return where pictures are sent to here, with `{id}` in the id's place, as clients reach it."""
    path = request.url_for("send_content", upload_id="{id}").path
    base = direct.public_url or str(request.base_url).rstrip("/")
    return base + unquote(path)


def _disposition_of(name: str, variant: Variant, *, download: bool) -> str:
    # What a browser would run as a page of ours is never shown in place.
    risky = not variant.media_type.startswith(("image/", "video/")) or variant.media_type == "image/svg+xml"
    return _disposition(name, variant.media_type, download=download or risky)


def _disposition(name: str, media_type: str, *, download: bool) -> str:
    kind = "attachment" if download else "inline"
    return f'{kind}; filename="{name.replace("_", "-")}.{extension_of(media_type)}"'


async def _send(request: Request, media: MediaService, key: str, media_type: str, disposition: str) -> Response:
    """Answer with a stored file. Keys are never used twice, so the key stands for the content.

    Whoever comes here may have the file: that has been looked at.
    """
    address = media.storage.download(key, media_type, disposition)
    if address is not None:
        return RedirectResponse(address, 302, {"Cache-Control": f"private, max-age={CACHE_S}"})
    etag = f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'
    headers = _headers(etag, disposition)
    if is_known(request.headers, etag):
        return Response(status_code=304, headers=headers)
    size = await media.storage.size(key)
    if size is None:
        raise not_found("file")
    try:
        part = asked_part(request.headers, etag, size)
    except UnsatisfiableRangeError:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    if part is None:
        stored, status = await media.open(key), 200
    else:
        stored, status = await media.open(key, part.start, part.end), 206
        headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
    headers["Content-Length"] = str(stored.end - stored.start)
    return StreamingResponse(stored.chunks, status, headers, media_type)


def _headers(etag: str, disposition: str) -> dict[str, str]:
    return {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={CACHE_S}",
        "Content-Disposition": disposition,
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
