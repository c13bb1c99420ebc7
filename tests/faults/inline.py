"""The SQLite database without its threads: the same transactions and group commits, played on the event loop.

A cycle needs no thread to be started, and the same seed gives the same order of everything, so a fault that was
found once is found again. A part of the crash tests runs with the threads as well.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Concatenate

from penstock.kit import sqlite
from penstock.kit.clock import Clock
from penstock.kit.database import P, T, Transaction
from penstock.kit.sqlite import SqliteDatabase


class InlineDatabase(SqliteDatabase):
    """Everything that `SqliteDatabase` does to the file, in the caller's thread."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self.path, self.clock = path, clock
        self._durability = "normal"
        self._units = queue.SimpleQueue()
        self._closed = False
        self._connection = self._open(read_only=False)
        self._local = threading.local()
        self._local.connection = self._connection  # reads too: between two transactions there is nothing to see apart
        self._due = False

    async def write(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._units.put(sqlite._Unit(partial(sqlite._call, unit, args, kwargs), future))
        if not self._due:
            self._due = True
            loop.call_soon(self._commit_queued)
        return await future

    async def read(self, unit: Callable[Concatenate[Transaction, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._check_open()
        return self._read(partial(sqlite._call, unit, args, kwargs))

    async def close(self) -> None:
        self._closed = True
        sqlite._dispose(self._connection)

    def _commit_queued(self) -> None:
        """Commit what is queued, as the writing thread does; nothing here fails a whole group."""
        self._due = False
        units = []
        while not self._units.empty():
            unit = self._units.get()
            assert unit is not None
            units.append(unit)
        outcomes = self._commit_group(self._connection, units)
        asyncio.get_running_loop().call_soon(sqlite._resolve, asyncio.get_running_loop(), outcomes)


class InlineExecutor(ThreadPoolExecutor):
    """Does at once what would be done in a thread: file work of the flow and of the clean-up."""

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(call(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future
