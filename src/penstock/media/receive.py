"""Receive: a request's body, multipart or raw, into a temporary file as it arrives.

No more than `WRITE_BYTES` and what the server buffers is in memory at any time, whatever the size of the upload. The
limit is enforced while the bytes come, whatever the client declared. The temporary file goes with the `with` block,
also when the client hangs up half-way.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from penstock.kit.errors import FieldError, Problem
from penstock.media.errors import file_too_large

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

WRITE_BYTES: Final = 1 << 20
FORM_OVERHEAD_BYTES: Final = 64 * 1024  # boundaries, part headers and other fields of a form
RECEIVE_S: Final = 900.0  # seconds that a whole upload may take: 50 MB at half a megabit a second
FIELD: Final = b"file"


@dataclass(frozen=True)
class Received:
    """An upload that lies in a temporary file."""

    path: Path
    bytes: int
    sha256: str


@asynccontextmanager
async def received(request: Request, folder: Path, max_bytes: int) -> AsyncIterator[Received]:
    """Take the file out of a request's body.

    Args:
        folder: where the temporary file lies until the block ends.

    Errors: Problem `too_large`, `invalid_input`, `unsupported_media` (a form of another kind).
    """
    _check_declared(request, max_bytes)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="upload-") as file:
        intake = _Intake(Path(file.name), file.file, max_bytes)
        try:
            async with asyncio.timeout(RECEIVE_S):
                await _take(request, intake)
        except ClientDisconnect as error:
            raise Problem("invalid_input", "The upload broke off before its end. Try again.") from error
        except TimeoutError as error:
            raise Problem("invalid_input", f"The upload took longer than {RECEIVE_S / 60:g} minutes.") from error
        yield await intake.finish()


def _check_declared(request: Request, max_bytes: int) -> None:
    """Refuse by the declared length before the client sends it all; what isn't declared is counted."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes + FORM_OVERHEAD_BYTES:
        raise file_too_large(max_bytes)


async def _take(request: Request, intake: "_Intake") -> None:
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        await _take_form(request, intake, options.get(b"boundary", b""))
    elif kind == b"application/x-www-form-urlencoded":
        raise Problem("unsupported_media", "Send the picture as multipart/form-data, in a field called file, or raw.")
    else:
        async for chunk in request.stream():
            await intake.take(chunk)


async def _take_form(request: Request, intake: "_Intake", boundary: bytes) -> None:
    form = _Form()
    try:
        if not boundary:
            raise FormParserError("no boundary")
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in request.stream():
            parser.write(chunk)
            for piece in form.pieces():
                await intake.take(piece)
            intake.count_overhead(len(chunk))
        if not form.complete:
            raise FormParserError("no end")
    except FormParserError as error:
        raise Problem("invalid_input", "The form in this request is broken or incomplete. Send it again.") from error
    if not form.found:
        raise Problem(
            "invalid_input",
            "There is no file in this form.",
            errors=[FieldError("file", "Add the picture in a field called file.")],
        )


@dataclass
class _Intake:
    """Counts, hashes and writes what arrives."""

    path: Path
    file: IO[bytes]
    max_bytes: int
    size: int = 0
    received: int = 0
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _waiting: bytearray = field(default_factory=bytearray)

    async def take(self, chunk: bytes) -> None:
        """Take a piece of the file. Errors: Problem `too_large`."""
        self.size += len(chunk)
        if self.size > self.max_bytes:
            raise file_too_large(self.max_bytes)
        self._digest.update(chunk)
        self._waiting += chunk
        if len(self._waiting) >= WRITE_BYTES:
            await self._write()

    def count_overhead(self, size: int) -> None:
        """Count everything in a form, so that what is not the file is limited too. Errors: Problem `too_large`."""
        self.received += size
        if self.received > self.max_bytes + FORM_OVERHEAD_BYTES:
            raise file_too_large(self.max_bytes)

    async def finish(self) -> Received:
        """Write the rest."""
        await self._write()
        return Received(self.path, self.size, self._digest.hexdigest())

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, bytearray()
        await asyncio.to_thread(_write_through, self.file, waiting)


def _write_through(file: IO[bytes], content: bytearray) -> None:
    file.write(content)
    file.flush()


class _Form:
    """Picks the first field called `file` out of a form; every other field is read past."""

    def __init__(self) -> None:
        self.found = False
        self.complete = False
        self._inside = False
        self._header = bytearray()
        self._value = bytearray()
        self._pieces: list[bytes] = []

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._part,
            "on_part_end": self._end,
            "on_end": self._complete,
        }

    def pieces(self) -> list[bytes]:
        """Return the bytes of the file that came since the last call."""
        pieces, self._pieces = self._pieces, []
        return pieces

    def _begin(self) -> None:
        self._inside = False

    def _header_name(self, content: bytes, start: int, end: int) -> None:
        self._header += content[start:end]

    def _header_value(self, content: bytes, start: int, end: int) -> None:
        self._value += content[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            if options.get(b"name") == FIELD and not self.found:
                self._inside = self.found = True
        self._header, self._value = bytearray(), bytearray()

    def _part(self, content: bytes, start: int, end: int) -> None:
        if self._inside:
            self._pieces.append(content[start:end])

    def _end(self) -> None:
        self._inside = False

    def _complete(self) -> None:
        self.complete = True
