"""SQL of files, uploads and results; each function works in the open transaction and never commits.

The life of a file:  remember_pending -> bytes are put -> keep   (in the transaction that gives the file a meaning)
                     doom             -> bytes are deleted -> forget
Whatever dies in between, the sweep finds the row and finishes what it tells.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from penstock.kit.database import Row, Transaction

PENDING_FILE_S: Final = 3_600.0
"""Seconds after which a file that nothing refers to yet is given up: longer than any put takes."""

Corners = tuple[tuple[float, float], ...]
"""Four (x, y) in 0..1 of width and height, clockwise from top left."""


@dataclass(frozen=True)
class NewFile:
    """A file about to be stored."""

    key: str
    media_type: str
    bytes: int


@dataclass(frozen=True)
class Upload:
    """A picture that a customer sent.

    `key` is where the cleaned picture lies; `media_type`, `bytes` and `sha256` are the original's, `width` and
    `height` are its pixels as it is seen (after orientation).
    """

    id: str
    account_id: str
    key: str
    media_type: str
    bytes: int
    width: int
    height: int
    sha256: str
    corners: Corners | None
    created_at: float
    expires_at: float


@dataclass(frozen=True)
class Variant:
    """One file of a result.

    `width` and `height` are 0 for what isn't made of pixels, such as PDF; `duration_s`, in seconds, is of videos.
    """

    name: str
    key: str
    media_type: str
    bytes: int
    width: int
    height: int
    duration_s: float | None = None


@dataclass(frozen=True)
class Result:
    """What a job made; the first variant is the result itself."""

    id: str
    job_id: str
    account_id: str
    operation: str
    media_type: str
    bytes: int
    width: int
    height: int
    variants: tuple[Variant, ...]
    created_at: float
    expires_at: float | None
    deleted_at: float | None = None

    def variant(self, name: str) -> Variant | None:
        """Return the variant called `name`."""
        return next((variant for variant in self.variants if variant.name == name), None)


class FileLostError(Exception):
    """A file can't be kept: it is not pending any more, because storing it took longer than PENDING_FILE_S."""


# ---- files --------------------------------------------------------------------------------------------------------

# Keys are new, so what is there already was written by the same write, whose answer was lost.
REMEMBER_PENDING = """
INSERT INTO files (key, owner, state, bytes, media_type, created_at, keep_until)
VALUES (:key, :owner, 'pending', :bytes, :media_type, :now, :keep_until) ON CONFLICT (key) DO NOTHING
"""

KEEP = "UPDATE files SET state = 'kept', keep_until = NULL WHERE key = :key AND state = 'pending'"

DOOM = "UPDATE files SET state = 'doomed', keep_until = NULL WHERE key = :key AND state <> 'doomed'"

# `state <> 'kept'` says again what follows: it lets the database use the index that leaves kept files out.
DOOM_STALE_PENDING = """
UPDATE files SET state = 'doomed', keep_until = NULL
WHERE state = 'pending' AND key IN (
    SELECT key FROM files
    WHERE state = 'pending' AND state <> 'kept' AND keep_until <= :now ORDER BY keep_until LIMIT :limit
)
"""

DOOMED = "SELECT key FROM files WHERE state = 'doomed' AND state <> 'kept' LIMIT :limit"

FORGET = "DELETE FROM files WHERE key = :key AND state = 'doomed'"

KNOWN = "SELECT 1 FROM files WHERE key = :key"

STORED_BYTES = "SELECT COALESCE(SUM(bytes), 0) FROM files WHERE owner = :owner AND state = 'kept'"


def remember_pending(tx: Transaction, owner: str, files: Sequence[NewFile]) -> None:
    """Write down what is about to be stored, before its first byte is. Repeating it changes nothing."""
    keep_until = tx.now + PENDING_FILE_S
    tx.many(
        REMEMBER_PENDING, [asdict(file) | {"owner": owner, "now": tx.now, "keep_until": keep_until} for file in files]
    )


def keep(tx: Transaction, keys: Iterable[str]) -> None:
    """Keep stored files, in the transaction that gives them a meaning. Errors: FileLostError."""
    for key in keys:
        if tx.run(KEEP, key=key) != 1:
            raise FileLostError(key)


def doom(tx: Transaction, keys: Iterable[str]) -> None:
    """Give files up: their bytes go after the commit. Repeating it changes nothing."""
    for key in keys:
        tx.run(DOOM, key=key)


def doom_stale_pending(tx: Transaction, limit: int) -> int:
    """Give up files that were never given a meaning; returns how many."""
    return tx.run(DOOM_STALE_PENDING, now=tx.now, limit=limit)


def doomed(tx: Transaction, limit: int) -> list[str]:
    """Return keys whose bytes are to be deleted."""
    return [row["key"] for row in tx.all(DOOMED, limit=limit)]


def forget(tx: Transaction, keys: Iterable[str]) -> None:
    """Drop the rows of doomed files whose bytes are gone."""
    for key in keys:
        tx.run(FORGET, key=key)


def stored_bytes(tx: Transaction, owner: str) -> int:
    """Return how many bytes an account keeps."""
    return int(tx.value(STORED_BYTES, owner=owner))


# ---- uploads ------------------------------------------------------------------------------------------------------

INSERT_UPLOAD = """
INSERT INTO uploads (id, account_id, key, media_type, bytes, width, height, sha256, corners, created_at, expires_at)
VALUES (:id, :account_id, :key, :media_type, :bytes, :width, :height, :sha256, :corners, :created_at, :expires_at)
"""

UPLOAD = """
SELECT id, account_id, key, media_type, bytes, width, height, sha256, corners, created_at, expires_at
FROM uploads WHERE id = :id AND account_id = :account_id AND expires_at > :now
"""

LIVE_UPLOADS = """
SELECT COUNT(*) FROM (
    SELECT 1 FROM uploads WHERE account_id = :account_id AND expires_at > :now LIMIT :limit
) AS live
"""

EXTEND_UPLOAD = """
UPDATE uploads SET expires_at = CASE WHEN expires_at < :until THEN :until ELSE expires_at END
WHERE id = :id AND account_id = :account_id AND expires_at > :now
"""

# Says twice that they have expired: one that a job needs may just have been extended.
DELETE_EXPIRED_UPLOADS = """
DELETE FROM uploads
WHERE expires_at <= :now
    AND id IN (SELECT id FROM uploads WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)
RETURNING key
"""


def insert_upload(tx: Transaction, upload: Upload) -> None:
    """Write an upload; its file is kept by `keep` in the same transaction."""
    tx.run(
        INSERT_UPLOAD, **asdict(upload) | {"corners": None if upload.corners is None else json.dumps(upload.corners)}
    )


def upload_of(tx: Transaction, upload_id: str, account_id: str) -> Upload | None:
    """Return an upload if it belongs to the account and has not expired."""
    row = tx.one(UPLOAD, id=upload_id, account_id=account_id, now=tx.now)
    return None if row is None else _upload(row)


def live_uploads(tx: Transaction, account_id: str, limit: int) -> int:
    """Return how many uploads an account has, counting no further than `limit`."""
    return int(tx.value(LIVE_UPLOADS, account_id=account_id, now=tx.now, limit=limit))


def extend_upload(tx: Transaction, upload_id: str, account_id: str, until: float) -> bool:
    """Keep an upload at least until `until`: for the job that will need it. False if there is no such upload."""
    return tx.run(EXTEND_UPLOAD, id=upload_id, account_id=account_id, until=until, now=tx.now) == 1


def expire_uploads(tx: Transaction, limit: int) -> int:
    """Drop uploads whose time is over and doom their files; returns how many."""
    expired = tx.all(DELETE_EXPIRED_UPLOADS, now=tx.now, limit=limit)
    doom(tx, [row["key"] for row in expired])
    return len(expired)


def _upload(row: Row) -> Upload:
    corners = None if row["corners"] is None else tuple((x, y) for x, y in json.loads(row["corners"]))
    return Upload(**row | {"corners": corners})


# ---- results ------------------------------------------------------------------------------------------------------

INSERT_RESULT = """
INSERT INTO results
    (id, job_id, account_id, operation, media_type, bytes, width, height, variants, created_at, expires_at)
VALUES
    (:id, :job_id, :account_id, :operation, :media_type, :bytes, :width, :height, :variants, :created_at, :expires_at)
"""

RESULT = """
SELECT id, job_id, account_id, operation, media_type, bytes, width, height, variants, created_at, expires_at, deleted_at
FROM results WHERE id = :id AND account_id = :account_id
"""

RESULT_OF_JOB = """
SELECT id, job_id, account_id, operation, media_type, bytes, width, height, variants, created_at, expires_at, deleted_at
FROM results WHERE job_id = :job_id
"""

EXPIRED_RESULTS = """
SELECT id, variants FROM results WHERE expires_at <= :now AND deleted_at IS NULL ORDER BY expires_at LIMIT :limit
"""

MARK_RESULT_DELETED = "UPDATE results SET deleted_at = :now WHERE id = :id AND deleted_at IS NULL"


def insert_result(
    tx: Transaction,
    *,
    result_id: str,
    job_id: str,
    account_id: str,
    operation: str,
    variants: Sequence[Variant],
    expires_at: float | None,
) -> Result:
    """Write a job's result and keep its stored files. `variants[0]` is the result itself. Errors: FileLostError."""
    full = variants[0]
    result = Result(
        id=result_id,
        job_id=job_id,
        account_id=account_id,
        operation=operation,
        media_type=full.media_type,
        bytes=full.bytes,
        width=full.width,
        height=full.height,
        variants=tuple(variants),
        created_at=tx.now,
        expires_at=expires_at,
    )
    keep(tx, [variant.key for variant in variants])
    columns = asdict(result) | {"variants": json.dumps([asdict(variant) for variant in variants])}
    del columns["deleted_at"]
    tx.run(INSERT_RESULT, **columns)
    return result


def result_of(tx: Transaction, result_id: str, account_id: str) -> Result | None:
    """Return a result if it belongs to the account, deleted or not."""
    row = tx.one(RESULT, id=result_id, account_id=account_id)
    return None if row is None else _result(row)


def result_of_job(tx: Transaction, job_id: str) -> Result | None:
    """Return what a job made."""
    row = tx.one(RESULT_OF_JOB, job_id=job_id)
    return None if row is None else _result(row)


def delete_result(tx: Transaction, result: Result) -> list[str]:
    """Mark a result deleted and doom its files; returns their keys."""
    return _delete_result(tx, result.id, [variant.key for variant in result.variants])


def expire_results(tx: Transaction, limit: int) -> int:
    """Delete results whose time is over; returns how many."""
    expired = tx.all(EXPIRED_RESULTS, now=tx.now, limit=limit)
    for row in expired:
        _delete_result(tx, row["id"], [variant["key"] for variant in json.loads(row["variants"])])
    return len(expired)


def _delete_result(tx: Transaction, result_id: str, keys: list[str]) -> list[str]:
    tx.run(MARK_RESULT_DELETED, id=result_id, now=tx.now)
    doom(tx, keys)
    return keys


def _result(row: Row) -> Result:
    variants = tuple(Variant(**variant) for variant in json.loads(row["variants"]))
    return Result(**row | {"variants": variants})
