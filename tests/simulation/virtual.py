"""Time that passes only while nobody has anything left to do: an event loop that leaps to its next timer.

Everything runs in one thread and in one order, so a seed plays the same hours again. The selector is the one place
where an event loop waits; here it waits for no timer but moves the loop's clock on.
"""

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakSet

from penstock.kit import sqlite
from penstock.kit.clock import Clock
from tests.faults.inline import InlineDatabase, InlineExecutor

T = TypeVar("T")
START = 1_800_000_000.0  # when every simulation begins, in seconds since 1970 UTC
JULIAN_DAY_OF_1970 = 2_440_587.5

_owner: contextvars.ContextVar["WeakSet[asyncio.Task[Any]] | None"] = contextvars.ContextVar("owner", default=None)


class _Leaping(selectors.DefaultSelector):
    """A selector that takes what is there, and otherwise lets the time pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        there = super().select(0)
        if not there and timeout is None:
            raise RuntimeError("everybody waits for something that will never come")
        if not there and timeout is not None and timeout > 0:
            self.now += timeout
        return there


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop under virtual time, in seconds from 0; work meant for threads is done at once."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)
        self.set_default_executor(InlineExecutor(1))
        self.set_task_factory(_owned)  # type: ignore[arg-type]  # the stub leaves the context out

    def time(self) -> float:
        return self._leaping.now


class VirtualClock:
    """The clock of everybody on a virtual loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        """Return seconds since 1970 UTC."""
        return START + self._loop.time()


class VirtualDatabase(InlineDatabase):
    """A database whose own time, by which chores take turns, is the virtual one."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        super().__init__(path, clock=clock)
        raw = sqlite._raw(self._connection)
        raw.create_function("julianday", 1, lambda _: clock.now() / 86_400 + JULIAN_DAY_OF_1970)


def play(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine to its end under virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def owned_by(tasks: "WeakSet[asyncio.Task[Any]]") -> contextvars.Context:
    """Return a context in which every task that is made, by whoever it is, is put into `tasks`."""
    context = contextvars.copy_context()
    context.run(_owner.set, tasks)
    return context


def _owned(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    context: contextvars.Context | None = options.get("context")
    owner = _owner.get() if context is None else context.get(_owner)
    if owner is not None:
        owner.add(task)
    return task
