"""Hints over many processes: each one's are gathered and said in one text over a line that all of them hear.

What is told goes out at once while little is told, and in ever larger texts while much is (`PAUSE_S` between two), the
same hint once in each. A process hears its own texts too: one that does not come back tells that the line is dead,
also where nothing reports it. A line that broke is opened again and again, and then everybody here is woken once, as
hints may have been lost in between.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

import structlog

from penstock.kit.hints import LocalHints
from penstock.kit.ids import new_id

PAUSE_S = 0.005  # between two texts: the most that a hint waits for others to go with
PING_S = 5.0  # a line on which nothing was said for so long is tried
ANSWER_S = 5.0  # by when a text must have been said, and by when it must have come back
RETRY_FIRST_S, RETRY_MOST_S = 0.05, 5.0
MAX_TEXT_BYTES = 7_000  # PostgreSQL takes 7,999
MAX_PENDING = 10_000  # hints kept while the line is broken; with more of them, all is told to look at everything
EVERYTHING = "*"

log = structlog.get_logger()


class LineError(Exception):
    """The line can't be opened, or broke; for operators."""


class Line(Protocol):
    """A connection over which one says something and all hear it, oneself included. It may break at any time."""

    name: str
    """Where it leads to, as it may be logged."""

    async def open(self, heard: Callable[[str], None], broken: Callable[[], None]) -> None:
        """Connect and listen; `heard` gets every text, `broken` is called once it has ended. Errors: LineError."""
        ...

    async def say(self, text: str) -> None:
        """Say a text of `MAX_TEXT_BYTES` at most. Errors: LineError."""
        ...

    async def close(self) -> None:
        """Disconnect; a line that is not open stays so."""
        ...


class SharedHints(LocalHints):
    """Hints for all processes on one line. See `Hints`."""

    def __init__(self, line: Line) -> None:
        """Say and hear nothing until `start`."""
        super().__init__()
        self.trouble: str | None = None
        self._line = line
        self._name = new_id("prc")
        self._pending: dict[str, None] = {}  # in order, each once
        self._stir = asyncio.Event()
        self._broken = False
        self._echo = asyncio.Event()
        self._unheard_since: float | None = None
        self._tried = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the line; returns after the first try, which may have failed."""
        self._task = asyncio.create_task(self._keep_talking(), name="hints")
        await self._tried.wait()

    async def close(self) -> None:
        """Say what is left, as far as the line is open, and hear no more."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if self.trouble is None:
                with suppress(LineError):
                    await self._say_all()
            await self._line.close()

    def tell(self, topic: str, about: str = "") -> None:
        """Tell everybody here now, and the other processes soon."""
        self.pass_on(topic, about)
        if len(self._pending) >= MAX_PENDING:
            self._pending = {EVERYTHING: None}
        else:
            self._pending[f"{topic} {about}"] = None
        self._stir.set()

    async def _keep_talking(self) -> None:
        pause_s = RETRY_FIRST_S
        while True:
            try:
                await self._open()
                pause_s = RETRY_FIRST_S
                await self._talk()
            except LineError as error:
                self._went_away(str(error))
            except Exception as bug:
                log.exception("hints.broke")
                self._went_away(f"{type(bug).__name__}: {bug}")
            self._tried.set()
            await self._line.close()
            await asyncio.sleep(random.uniform(0.5, 1) * pause_s)  # noqa: S311 - spreads retries, guards nothing
            pause_s = min(2 * pause_s, RETRY_MOST_S)

    async def _open(self) -> None:
        self._broken, self._unheard_since = False, None
        await self._line.open(self._heard, self._break)
        await self._try_out()
        if self.trouble is not None:
            log.info("hints.back", line=self._line.name)
            self.trouble = None
            self.wake_everybody()
        self._tried.set()

    async def _try_out(self) -> None:
        """Say nothing but who we are, and hear it. Errors: LineError."""
        self._echo.clear()
        try:
            async with asyncio.timeout(ANSWER_S):
                await self._line.say(self._name)
                await self._echo.wait()
        except TimeoutError as error:
            raise LineError(f"{self._line.name}: nothing comes back") from error

    async def _talk(self) -> None:
        """Say what is told here, and something now and then where nothing is. Errors: LineError when the line is gone.

        Returns never.
        """
        clock = asyncio.get_running_loop().time
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PING_S):
                    await self._stir.wait()
            self._stir.clear()
            if self._broken:
                raise LineError(f"{self._line.name}: the connection broke")
            if self._unheard_since is not None and clock() - self._unheard_since > ANSWER_S:
                raise LineError(f"{self._line.name}: nothing comes back")
            if self._unheard_since is None:
                self._unheard_since = clock()
            await self._say_all()
            await asyncio.sleep(PAUSE_S)

    async def _say_all(self) -> None:
        """Say every hint, or nothing but who we are where there is none; hints that could not be said are kept."""
        hints, self._pending = self._pending, {}
        try:
            async with asyncio.timeout(ANSWER_S):
                for text in texts(self._name, list(hints)):
                    await self._line.say(text)
        except BaseException as error:
            self._pending = hints | self._pending
            if isinstance(error, TimeoutError):
                raise LineError(f"{self._line.name}: no answer in {ANSWER_S:g} s") from error
            raise

    def _heard(self, text: str) -> None:
        sender, *hints = text.split("\n")
        if sender == self._name:
            self._unheard_since = None
            self._echo.set()
            return
        for hint in hints:
            if hint == EVERYTHING:
                self.wake_everybody()
            else:
                topic, _, about = hint.partition(" ")
                self.pass_on(topic, about)

    def _break(self) -> None:
        self._broken = True
        self._stir.set()

    def _went_away(self, why: str) -> None:
        if self.trouble is None:  # once, not at every try
            log.warning("hints.away", error=why)
        self.trouble = why


def texts(sender: str, hints: list[str]) -> Iterator[str]:
    """Yield texts of `MAX_TEXT_BYTES` at most that hold the hints, one a line beneath the sender; one without any."""
    text = sender
    for hint in hints:
        if len(text.encode()) + len(hint.encode()) + 1 > MAX_TEXT_BYTES:
            yield text
            text = sender
        text += f"\n{hint}"
    yield text
