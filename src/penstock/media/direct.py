"""Pictures that don't pass through a request of ours: sent straight to storage, then handed in.

    presign  -> [slip + pending file]      the client gets an address and the fields of a form
    the client sends the picture there: to the bucket; or, where files lie in a folder, to `receive` here
    complete -> [slip taken] -> fetch -> clean (child) -> store -> [slip ended + upload kept] -> sent file deleted

each [ ] one commit. The storage itself holds the client to the key, the size and the time; what came is then treated
like any upload. The row of the sent file stays pending for its whole time, whatever happens: a form may be sent more
than once as long as it is valid, so the sweep looks again when nothing can come any more.
"""

import hashlib
import hmac
import tempfile
from asyncio import to_thread
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog
from starlette.requests import Request

from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import Transaction
from penstock.kit.errors import Problem, not_found
from penstock.kit.ids import new_id
from penstock.media import queries, slip_queries
from penstock.media.errors import file_too_large
from penstock.media.queries import NewFile, Upload
from penstock.media.receive import Received, received
from penstock.media.service import MediaService, check_live_uploads, look_at, not_stored
from penstock.media.signing import UploadForm
from penstock.media.slip_queries import SLIP_S, Slip
from penstock.media.storage import StorageError, incoming_key

SEND_S: Final = 900  # in which sending must begin
BUSY_RETRY_S: Final = 2.0
BINARY: Final = "application/octet-stream"
_SPENT: Final = ("invalid_input", "unsupported_media", "too_large")  # what is wrong with the picture itself
_ADDRESS_USED: Final = "This address has been used. Ask for a new one with POST /api/v1/uploads/presign."

log = structlog.get_logger()


class DirectUploads:
    """Gives out slips and takes in what was sent with them.

    Args:
        secret: signs addresses of this server.
        public_url: where clients reach it; None: where they did.
    """

    def __init__(self, media: MediaService, secret: str, public_url: str | None = None) -> None:
        self._media = media
        self.public_url = public_url
        self._secret = hmac.digest(secret.encode(), b"penstock upload slips", "sha256")

    @property
    def offered(self) -> bool:
        """Whether pictures can be sent past this server; otherwise sending them here at once is quicker."""
        return self._media.storage.bucket is not None

    async def presign(self, account_id: str, size: int, media_type: str, own_address: str) -> tuple[Slip, UploadForm]:
        """Return a slip and where to send the picture.

        Args:
            own_address: of `receive` here, with `{id}` where the slip's id belongs.
        Errors: Problem `too_large`, `unsupported_media`, `plan_limit`.
        """
        most = self._media.max_bytes
        if size > most:
            raise file_too_large(most)
        if not media_type.startswith("image/") and media_type not in {BINARY, ""}:  # phones send HEIC as anything
            raise Problem("unsupported_media", "Only pictures are taken. Choose a JPEG, PNG, WebP or HEIC file.")
        slip = await self._media.database.write(_open, account_id, size)
        checkpoint("slip.opened")
        bucket = self._media.storage.bucket
        if bucket is not None:
            return slip, bucket.form(slip.key, size, SEND_S)
        until = int(slip.created_at) + SEND_S
        query = f"until={until}&signature={self._signature(slip.id, until)}"
        return slip, UploadForm(f"{own_address.format(id=slip.id)}?{query}", {})

    async def receive(self, request: Request, slip_id: str, until: int, signature: str) -> None:
        """Take a picture that is sent to a signed address of this server, once.

        Errors: Problem `forbidden`, `wrong_state`, `too_large`, `invalid_input`, `unsupported_media`, `busy`,
            `unavailable`.
        """
        if not hmac.compare_digest(self._signature(slip_id, until).encode(), signature.encode()):
            raise Problem("forbidden", "This address is not one that we gave out.")
        slip = await self._media.database.read(_slip_to_use, slip_id, until)
        try:
            async with self._media.room(), received(request, self._media.scratch, slip.bytes) as sent:
                if sent.bytes != slip.bytes:
                    told = f"{slip.bytes:,} bytes were announced, and {sent.bytes:,} came. Send all of them."
                    raise Problem("invalid_input", told)
                await self._media.storage.put(slip.key, sent.path)
        except (OSError, StorageError) as error:
            raise not_stored(error, slip.account_id) from error
        checkpoint("slip.sent")
        if not await self._media.database.write(slip_queries.note_arrival, slip.id):
            raise Problem("wrong_state", _ADDRESS_USED)

    async def complete(self, slip_id: str, account_id: str) -> tuple[Upload, bool]:
        """Make an upload of what was sent; returns it, and whether it is new. Repeating it changes nothing.

        Errors: Problem `not_found`, `wrong_state`, and as `MediaService.receive`.
        """
        found = await self._media.database.write(_take, slip_id, account_id)
        if isinstance(found, Upload):
            return found, False
        checkpoint("slip.taken")
        try:
            return await self._look_at(found), True
        except Problem as problem:
            await self._after_refusal(found, problem)
            raise
        except (OSError, StorageError) as error:
            await self._media.database.write(slip_queries.give_back_slip, found)
            raise not_stored(error, account_id) from error

    async def _look_at(self, slip: Slip) -> Upload:
        async with self._media.room(), self._fetched(slip) as sent:
            upload = await self._media.accept(sent, slip.account_id, slip)
        await self._discard(slip)
        return upload

    @asynccontextmanager
    async def _fetched(self, slip: Slip) -> AsyncIterator[Received]:
        """Bring what was sent here, for as long as the block lasts. Errors: Problem, StorageError."""
        size = await self._media.storage.size(slip.key)
        if size is None:
            raise Problem("wrong_state", "This picture has not arrived yet. Send it, and then ask again.")
        if size != slip.bytes:
            raise Problem("invalid_input", "Another file came than was announced. Upload the picture again.")
        with tempfile.NamedTemporaryFile(dir=self._media.scratch, prefix="upload-") as file:
            await self._media.storage.fetch(slip.key, Path(file.name))
            yield await to_thread(look_at, Path(file.name))

    async def _after_refusal(self, slip: Slip, problem: Problem) -> None:
        """Let it be tried again, unless the picture itself is what is wrong: then it goes."""
        if problem.code not in _SPENT:
            await self._media.database.write(slip_queries.give_back_slip, slip)
        elif await self._media.database.write(slip_queries.end_slip, slip):
            await self._discard(slip)

    async def _discard(self, slip: Slip) -> None:
        """Delete what was sent; if that can't be done now, the sweep does it."""
        try:
            await self._media.storage.delete([slip.key])
        except (OSError, StorageError) as error:
            log.warning("upload.not_discarded", upload=slip.id, error=str(error))

    def _signature(self, slip_id: str, until: int) -> str:
        return hmac.new(self._secret, f"{slip_id}\n{until}".encode(), hashlib.sha256).hexdigest()


def _open(tx: Transaction, account_id: str, size: int) -> Slip:
    tx.alone(f"uploads {account_id}")
    check_live_uploads(tx, account_id)
    upload_id = new_id("upl")
    slip = Slip(upload_id, account_id, incoming_key(upload_id), size, tx.now, tx.now + SLIP_S)
    queries.remember_pending(tx, account_id, [NewFile(slip.key, BINARY, size)])
    slip_queries.insert_slip(tx, slip)
    return slip


def _slip_to_use(tx: Transaction, slip_id: str, until: int) -> Slip:
    slip = slip_queries.slip_of(tx, slip_id)
    if slip is None or until <= tx.now:
        raise Problem("forbidden", "This address has expired. Ask for a new one with POST /api/v1/uploads/presign.")
    if slip.arrived_at is not None or slip.taken_at is not None:
        raise Problem("wrong_state", _ADDRESS_USED)
    return slip


def _take(tx: Transaction, slip_id: str, account_id: str) -> Upload | Slip:
    """Return the upload if there is one already, else the slip, taken."""
    upload = queries.upload_of(tx, slip_id, account_id)
    if upload is not None:
        return upload
    taken = slip_queries.take_slip(tx, slip_id, account_id)
    if taken is not None:
        return taken
    known = slip_queries.slip_of(tx, slip_id)
    if known is None or known.account_id != account_id:
        raise not_found("upload")
    raise Problem("wrong_state", "This picture is being looked at. Ask again shortly.", retry_after_s=BUSY_RETRY_S)
