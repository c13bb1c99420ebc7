"""Writes that must not be lost because the database is away for a moment: something was paid for by then."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Concatenate, Final

import structlog

from penstock.kit.database import Database, DatabaseUnavailableError, P, T, Transaction

PATIENCE_S: Final = 30.0  # as long as a lease: who could not write for so long holds its job no more
FIRST_PAUSE_S, MOST_PAUSE_S = 0.05, 2.0
CANCELLED_WAIT_S = 10.0  # how long a cancelled caller waits for its write, so that what it does next finds it done

log = structlog.get_logger()


@dataclass(frozen=True)
class Patient:
    """A database that is asked again while it is away, for `PATIENCE_S`.

    A commit whose answer was lost is written once more: units are guarded by what they change (a fence, a state), so
    the second time finds that it is done. Who is cancelled meanwhile still writes, and then ends.
    """

    database: Database

    async def write(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do `Database.write`. Errors: as that, DatabaseUnavailableError only in the end."""
        return await _to_its_end(partial(self.database.write, unit, *args, **kwargs))

    async def write_for(
        self, owner: str, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do `Database.write_for`. Errors: as that, DatabaseUnavailableError only in the end."""
        return await _to_its_end(partial(self.database.write_for, owner, unit, *args, **kwargs))


async def _to_its_end(write: Callable[[], Awaitable[T]]) -> T:
    task = asyncio.create_task(_insist(write))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=CANCELLED_WAIT_S)
        task.cancel()
        raise


async def _insist(write: Callable[[], Awaitable[T]]) -> T:
    until, pause = time.monotonic() + PATIENCE_S, FIRST_PAUSE_S
    while True:
        try:
            return await write()
        except DatabaseUnavailableError as error:
            if time.monotonic() + pause > until:
                raise
            log.warning("database.insisting", error=str(error), pause_s=pause)
        await asyncio.sleep(pause)
        pause = min(MOST_PAUSE_S, 2 * pause)
