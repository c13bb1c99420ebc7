"""OpenAI's pictures: generate from words, edit with one or several pictures and a mask; also vLLM-Omni's.

The call can't be found again after a crash. The model is told the size to make, so that a restored photograph keeps
its frame. Compatible servers leave out `usage`, and some give an address instead of the picture.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from penstock.kit.children import ChildError, Children
from penstock.product.schema_providers import Provider as Settings
from penstock.providers.documents import count, table, tables
from penstock.providers.http import Reply
from penstock.providers.openai import OpenAiVendor
from penstock.providers.pictures import Picture, read_pictures, written
from penstock.providers.prices import Tokens
from penstock.providers.seam import Attempt, Finished, ProviderError, Request
from penstock.providers.surroundings import Surroundings
from penstock.providers.vendor import JSON, packed
from penstock.providers.words import instructions

MAX_PICTURE_BYTES = 48_000_000  # 50 MB is the vendor's limit for one
MASK = "mask"  # the input that shows what may change: white
MASK_S = 30.0
SHORT_SIDE = 1_024  # pixels of what is made from a picture
STEP = 16  # pixels: what both sides must be a multiple of
WIDEST = 3.0  # the longest side to the shortest

_SIZES = {
    "square": "1024x1024",
    "portrait": "960x1280",
    "landscape": "1280x960",
    "tall": "864x1536",
    "wide": "1536x864",
}


class OpenAiImagesProvider(OpenAiVendor):
    """Speaks `images/generations` and `images/edits`."""

    tasks = frozenset({"restore", "colourise", "restore_colourise", "edit", "generate"})

    def __init__(self, name: str, settings: Settings, around: Surroundings) -> None:
        """Answer to `name`; masks are made in children."""
        super().__init__(name, settings, around)
        self._children: Children = around.children

    async def submit(self, request: Request, attempt: Attempt) -> Finished:
        """Make the picture. Errors: ProviderError."""
        fields = await asyncio.to_thread(self._fields, request)
        if request.pictures:
            files = await self._files(request)
            sent = {name: _written_out(value) for name, value in fields.items()}
            reply = await self._waited(attempt, "/images/edits", fields=sent, files=files)
        else:
            reply = await self._waited(attempt, "/images/generations", content=packed(fields), headers=JSON)
        if not reply.ok:
            raise self._failure(reply)
        return await self._finished(reply, request.folder)

    async def _waited(self, attempt: Attempt, path: str, **body: object) -> Reply:
        attempt.report("waiting for the picture", None)
        return await self._http.order(path, timeout_s=attempt.timeout_s, **body)  # type: ignore[arg-type]

    def _fields(self, request: Request) -> dict[str, object]:
        fields: dict[str, object] = {"model": self._model, "prompt": instructions(request), "n": 1}
        size = _SIZES.get(str(request.options.get("shape"))) or _size_like(request.pictures)
        if size is not None:
            fields["size"] = size
        return {**fields, **self._settings.parameters}

    async def _files(self, request: Request) -> list[tuple[str, tuple[str, bytes, str]]]:
        paths = {name: path for name, path in request.pictures.items() if name != MASK}
        pictures = await asyncio.to_thread(read_pictures, paths, MAX_PICTURE_BYTES)
        field = "image" if len(pictures) == 1 else "image[]"
        files = [(field, _file(picture)) for picture in pictures]
        if MASK in request.pictures and pictures:
            files.append((MASK, _file(await self._mask(request, next(iter(paths.values()))))))
        return files

    async def _mask(self, request: Request, picture: Path) -> Picture:
        target = request.folder / "mask-sent.png"
        drawn = request.pictures[MASK]
        try:
            await self._children.call(transparent_where_white, drawn, picture, target, timeout_s=MASK_S)
        except ChildError as error:
            raise ProviderError("transient", f"making the mask: {error}") from error
        (mask,) = await asyncio.to_thread(read_pictures, {MASK: target}, MAX_PICTURE_BYTES)
        return mask

    async def _finished(self, reply: Reply, folder: Path) -> Finished:
        document = self._document(reply)
        bill = self._token_bill(reply, _tokens(table(document.get("usage"))))
        made = next(iter(tables(document.get("data"))), {})
        with bill.attached():
            content = await self._picture(made.get("b64_json") or made.get("url"))
            return bill.finished(await asyncio.to_thread(written, content, folder))


def transparent_where_white(mask: Path, picture: Path, target: Path) -> None:
    """Write a mask in which white means "change this" as OpenAI wants it: transparent there, of the picture's size.

    Runs in a child.
    """
    with Image.open(picture, formats=("PNG", "JPEG")) as model:
        size = model.size
    with Image.open(mask, formats=("PNG", "JPEG")) as drawn:
        white = np.asarray(drawn.convert("L").resize(size, Image.Resampling.BILINEAR), np.uint8)
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    pixels[:, :, 3] = 255 - white
    Image.fromarray(pixels).save(target, "PNG")


def _size_like(pictures: Mapping[str, Path]) -> str | None:
    """Return a size with the shape of the first picture; None leaves it to the model, also for very long ones."""
    path = next((path for name, path in pictures.items() if name != MASK), None)
    if path is None:
        return None
    with Image.open(path, formats=("PNG", "JPEG")) as image:  # reads the header alone
        width, height = image.size
    if max(width, height) > WIDEST * min(width, height):
        return None
    scale = SHORT_SIDE / min(width, height)
    return "x".join(str(max(STEP, round(side * scale / STEP) * STEP)) for side in (width, height))


def _file(picture: Picture) -> tuple[str, bytes, str]:
    return picture.filename, picture.content, picture.media_type


def _written_out(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tokens(usage: Mapping[str, object]) -> Tokens | None:
    if not usage:
        return None
    written_tokens = count(usage.get("output_tokens"))
    details = table(usage.get("output_tokens_details"))
    return Tokens(
        read=count(usage.get("input_tokens")),
        written=written_tokens,
        images_in=count(table(usage.get("input_tokens_details")).get("image_tokens")),
        images_out=count(details.get("image_tokens")) if details else written_tokens,
    )
