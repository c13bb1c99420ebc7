"""SQL of slips: permissions to send one picture past this server, straight to where it will lie.

A slip is taken by whoever looks at the picture that came, and goes with the upload that is made of it. Its file is
pending all the while (`queries.remember_pending`), so whatever is never finished is swept by its file's own time.
"""

from dataclasses import asdict, dataclass
from typing import Final

from penstock.kit.database import Transaction

SLIP_S: Final = 1_800.0
"""Seconds in which a picture may be sent and handed in: with `TAKEN_S`, less than a pending file has."""
TAKEN_S: Final = 600.0
"""Seconds after which whoever took a slip is given up for lost: longer than fetching and cleaning take."""


@dataclass(frozen=True)
class Slip:
    """Permission to send one picture.

    `id` is that of the upload it may become, `key` where the picture goes, `bytes` exactly how many there must be.
    `arrived_at` is known only where the picture passes through this server.
    """

    id: str
    account_id: str
    key: str
    bytes: int
    created_at: float
    expires_at: float
    arrived_at: float | None = None
    taken_at: float | None = None


INSERT_SLIP = """
INSERT INTO upload_slips (id, account_id, key, bytes, created_at, expires_at, arrived_at, taken_at)
VALUES (:id, :account_id, :key, :bytes, :created_at, :expires_at, :arrived_at, :taken_at)
"""

SLIP = """
SELECT id, account_id, key, bytes, created_at, expires_at, arrived_at, taken_at
FROM upload_slips WHERE id = :id AND expires_at > :now
"""

OPEN_SLIPS = """
SELECT COUNT(*) FROM (
    SELECT 1 FROM upload_slips WHERE account_id = :account_id AND expires_at > :now LIMIT :limit
) AS open
"""

NOTE_ARRIVAL = "UPDATE upload_slips SET arrived_at = :now WHERE id = :id AND arrived_at IS NULL"

TAKE_SLIP = """
UPDATE upload_slips SET taken_at = :now
WHERE id = :id AND account_id = :account_id AND expires_at > :now AND (taken_at IS NULL OR taken_at <= :lost)
"""

# With the moment at which it was taken, so that who was given up for lost changes nothing any more.
GIVE_BACK_SLIP = "UPDATE upload_slips SET taken_at = NULL WHERE id = :id AND taken_at = :taken_at"

END_SLIP = "DELETE FROM upload_slips WHERE id = :id AND taken_at = :taken_at"

DELETE_EXPIRED_SLIPS = """
DELETE FROM upload_slips
WHERE expires_at <= :now
    AND id IN (SELECT id FROM upload_slips WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)
"""


def insert_slip(tx: Transaction, slip: Slip) -> None:
    """Write a slip down."""
    tx.run(INSERT_SLIP, **asdict(slip))


def slip_of(tx: Transaction, slip_id: str) -> Slip | None:
    """Return a slip that has not expired."""
    row = tx.one(SLIP, id=slip_id, now=tx.now)
    return None if row is None else Slip(**row)


def open_slips(tx: Transaction, account_id: str, limit: int) -> int:
    """Return how many slips an account has, counting no further than `limit`."""
    return int(tx.value(OPEN_SLIPS, account_id=account_id, now=tx.now, limit=limit))


def note_arrival(tx: Transaction, slip_id: str) -> bool:
    """Note that the picture is here; False if it was before."""
    return tx.run(NOTE_ARRIVAL, id=slip_id, now=tx.now) == 1


def take_slip(tx: Transaction, slip_id: str, account_id: str) -> Slip | None:
    """Take a slip for oneself; None if somebody has it, or there is none of this account."""
    if tx.run(TAKE_SLIP, id=slip_id, account_id=account_id, now=tx.now, lost=tx.now - TAKEN_S) != 1:
        return None
    return slip_of(tx, slip_id)


def give_back_slip(tx: Transaction, slip: Slip) -> None:
    """Let a slip that one has taken be taken again."""
    tx.run(GIVE_BACK_SLIP, id=slip.id, taken_at=slip.taken_at)


def end_slip(tx: Transaction, slip: Slip) -> bool:
    """Do away with a slip that one has taken; False if one was given up for lost."""
    return tx.run(END_SLIP, id=slip.id, taken_at=slip.taken_at) == 1


def expire_slips(tx: Transaction, limit: int) -> int:
    """Drop slips whose time is over, and that of who took them; returns how many. Their files go by their own time."""
    return tx.run(DELETE_EXPIRED_SLIPS, now=tx.now - TAKEN_S, limit=limit)
