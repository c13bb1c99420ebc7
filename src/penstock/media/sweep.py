"""The clean-up of files: what expired goes, what a crash left behind goes, rows last.

Maintenance calls `sweep` every minute or so. Every step is its own short transaction or an idempotent deletion, so
being killed anywhere only means that the next sweep does the rest.
"""

import shutil
import time
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from penstock.kit.checkpoints import checkpoint
from penstock.kit.database import Database, Transaction
from penstock.media import queries, slip_queries
from penstock.media.storage import Storage

BATCH: Final = 100  # rows in one transaction
MAX_BATCHES: Final = 20  # of each kind in one sweep: the rest waits for the next
SCRATCH_FILE_S: Final = 6 * 3_600.0  # seconds after which a temporary file has no owner any more
KNOWN_BATCH: Final = 500

Step = Callable[[Transaction, int], int]


@dataclass(frozen=True)
class Swept:
    """What one sweep did."""

    uploads: int
    results: int
    pending: int
    files: int


async def sweep(database: Database, storage: Storage) -> Swept:
    """Expire uploads and results, give up files without a meaning, delete the bytes of all doomed files."""
    uploads = await _in_batches(database, queries.expire_uploads)
    results = await _in_batches(database, queries.expire_results)
    await _in_batches(database, slip_queries.expire_slips)
    pending = await _in_batches(database, queries.doom_stale_pending)
    checkpoint("sweep.doomed")
    files = 0
    for _ in range(MAX_BATCHES):
        buried = await bury(database, storage, await database.read(queries.doomed, BATCH))
        files += buried
        if buried < BATCH:
            break
    return Swept(uploads, results, pending, files)


async def bury(database: Database, storage: Storage, keys: list[str]) -> int:
    """Delete the bytes of doomed files, then their rows; returns how many."""
    if not keys:
        return 0
    await storage.delete(keys)
    checkpoint("sweep.bytes_deleted")
    await database.write(queries.forget, keys)
    checkpoint("sweep.forgotten")
    return len(keys)


async def orphans(database: Database, storage: Storage) -> AsyncIterator[str]:
    """Go through the keys that lie in storage without a row: there are none unless something is broken."""
    batch: list[str] = []
    async for found in storage.list():
        batch.append(found.key)
        if len(batch) == KNOWN_BATCH:
            for key in await database.read(_unknown, batch):
                yield key
            batch = []
    for key in await database.read(_unknown, batch):
        yield key


async def clear_scratch(folder: Path, older_than_s: float = SCRATCH_FILE_S) -> int:
    """Delete temporary files that a killed process left; returns how many."""
    return await to_thread(_clear_scratch, folder, time.time() - older_than_s)


async def _in_batches(database: Database, step: Step) -> int:
    total = 0
    for _ in range(MAX_BATCHES):
        done = await database.write(step, BATCH)
        total += done
        if done < BATCH:
            break
    return total


def _clear_scratch(folder: Path, before: float) -> int:
    cleared = 0
    for left in folder.iterdir():
        try:
            if left.stat().st_mtime > before:
                continue
        except FileNotFoundError:
            continue  # its owner has just done with it
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
        cleared += 1
    return cleared


def _unknown(tx: Transaction, keys: list[str]) -> list[str]:
    return [key for key in keys if tx.one(queries.KNOWN, key=key) is None]
