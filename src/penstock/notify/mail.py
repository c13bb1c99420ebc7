"""Letters out: written down in the transaction that they belong to, sent after it, tried again until they are taken.

    put (in a transaction) -> [commit] -> send_due -> a carrier: SMTP, or in development the console

A letter may be sent twice if a process dies between the mail server's answer and our note of it; never not at all. Its
text, which may hold a one-time link, is erased once it was sent or given up.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from penstock.kit.database import Database, DatabaseUnavailableError, Row, Transaction
from penstock.kit.ids import new_id
from penstock.notify import queries

LETTERS_LOOK_S = 15.0
BATCH_LETTERS = 20
SENDING_S = 120.0  # after which another process may try a letter that one has taken
AGAIN_AFTER_S = (30.0, 300.0, 1_800.0, 7_200.0, 21_600.0)
KEEP_S = 30 * 86_400.0  # what was sent, without its text
MAX_SHOWN = 50

log = structlog.get_logger()


class CarrierError(Exception):
    """A letter was not taken; `final`: it never will be, such as for an address that does not exist."""

    def __init__(self, reason: str, *, final: bool = False) -> None:
        super().__init__(reason)
        self.final = final


@dataclass(frozen=True)
class Letter:
    """A plain letter to one address."""

    to: str
    subject: str
    text: str


@dataclass(frozen=True)
class Shown:
    """A letter on the outbox page; `created_at` in seconds since 1970 UTC."""

    id: str
    letter: Letter
    created_at: float


class Carrier(Protocol):
    """What takes letters away."""

    keeps: bool
    """Whether letters stay readable here: in development only."""

    async def send(self, letter: Letter) -> None:
        """Send a letter. Errors: CarrierError."""
        ...


class ConsoleCarrier:
    """Shows letters where the server runs instead of sending them. For development."""

    keeps = True

    async def send(self, letter: Letter) -> None:
        """Write a letter into the log."""
        log.info("mail.not_sent", to=letter.to, subject=letter.subject, text=letter.text, told="see /outbox, too")


class Post:
    """The outbox of one process; the letters are everybody's."""

    def __init__(self, database: Database, carrier: Carrier) -> None:
        self._database, self._carrier = database, carrier
        self._sending: set[asyncio.Task[int]] = set()

    @property
    def keeps(self) -> bool:
        """Whether letters can be read here, on the outbox page."""
        return self._carrier.keeps

    def put(self, tx: Transaction, letter: Letter) -> None:
        """Let a letter be sent once the open transaction is on disk."""
        values = {"id": new_id("ltr"), "to": letter.to, "subject": letter.subject, "text": letter.text}
        tx.run(queries.INSERT_LETTER, **values, now=tx.now)
        tx.after_commit(self._wake)

    async def send_due(self) -> int:
        """Send what is due and return how many were taken. A chore of maintenance, and after each `put`."""
        sent = 0
        while taken := await self._database.write(_take):
            for row in taken:
                sent += await self._send(row)
        return sent

    async def sweep(self) -> int:
        """Forget what was sent long ago. A chore of maintenance."""
        return await self._database.write(_forget)

    async def shown(self) -> list[Shown]:
        """Return the newest letters with their texts; nothing where letters are really sent."""
        return await self._database.read(_newest) if self.keeps else []

    async def close(self) -> None:
        """Wait for letters on their way."""
        await asyncio.gather(*self._sending, return_exceptions=True)

    def _wake(self) -> None:
        task = asyncio.get_running_loop().create_task(self.send_due())
        self._sending.add(task)
        task.add_done_callback(self._woken)

    def _woken(self, task: "asyncio.Task[int]") -> None:
        self._sending.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, DatabaseUnavailableError):
            log.error("mail.failed", error=repr(error))

    async def _send(self, row: Row) -> bool:
        letter = Letter(row["recipient"], row["subject"], row["text"])
        try:
            await self._carrier.send(letter)
        except CarrierError as error:
            await self._database.write(_not_taken, row, str(error), final=error.final)
            return False
        await self._database.write(_sent, row["id"], keep=self._carrier.keeps)
        return True


def _take(tx: Transaction) -> list[Row]:
    return tx.all(queries.TAKE_LETTERS, now=tx.now, again_at=tx.now + SENDING_S, limit=BATCH_LETTERS)


def _sent(tx: Transaction, letter_id: str, *, keep: bool) -> None:
    tx.run(queries.LETTER_SENT if not keep else queries.LETTER_SHOWN, id=letter_id, now=tx.now)


def _not_taken(tx: Transaction, row: Row, reason: str, *, final: bool) -> None:
    tries: int = row["tries"]
    over = final or tries > len(AGAIN_AFTER_S)
    tell: Callable[..., None] = log.error if over else log.warning
    tell("mail.given_up" if over else "mail.not_taken", letter=row["id"], tries=tries, reason=reason)
    if over:
        tx.run(queries.LETTER_GIVEN_UP, id=row["id"])
    else:
        tx.run(queries.LETTER_AGAIN, id=row["id"], at=tx.now + AGAIN_AFTER_S[tries - 1])


def _newest(tx: Transaction) -> list[Shown]:
    rows = tx.all(queries.NEWEST_LETTERS, limit=MAX_SHOWN)
    return [Shown(row["id"], Letter(row["recipient"], row["subject"], row["text"]), row["created_at"]) for row in rows]


def _forget(tx: Transaction) -> int:
    return tx.run(queries.FORGET_LETTERS, before=tx.now - KEEP_S)
