"""Writes that must not be lost because the database is away for a moment: something was paid for by then."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Concatenate, Final

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
        return await to_its_end(_insist(partial(self.database.write, unit, *args, **kwargs)), CANCELLED_WAIT_S)

    async def write_for(
        self, owner: str, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do `Database.write_for`. Errors: as that, DatabaseUnavailableError only in the end."""
        writing = _insist(partial(self.database.write_for, owner, unit, *args, **kwargs))
        return await to_its_end(writing, CANCELLED_WAIT_S)


async def to_its_end(work: Coroutine[Any, Any, T], wait_s: float) -> T:
    """Do `work`. Who is cancelled meanwhile waits for it so many seconds more; what is not done by then is cut."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=wait_s)
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
