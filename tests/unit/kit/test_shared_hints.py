"""Hints over a line that breaks, keeps silent and comes back, as a test tells it to."""

import asyncio
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from penstock.kit import shared_hints
from penstock.kit.hints import LocalHints
from penstock.kit.shared_hints import MAX_TEXT_BYTES, LineError, SharedHints, texts
from tests.support.flows import PATIENCE_S


class FakeLine:
    """A line to itself."""

    name = "a line"

    def __init__(self) -> None:
        self.said: list[str] = []
        self.opened = 0
        self.refuses = self.deaf = self.dumb = False
        self.news = asyncio.Event()
        self.heard: Callable[[str], None] = lambda text: None
        self.broken: Callable[[], None] = lambda: None

    async def open(self, heard: Callable[[str], None], broken: Callable[[], None]) -> None:
        self.opened += 1
        self.news.set()
        if self.refuses:
            raise LineError("refused")
        self.heard, self.broken = heard, broken

    async def say(self, text: str) -> None:
        if self.dumb:
            raise LineError("dumb")
        self.said.append(text)
        self.news.set()
        if not self.deaf:
            self.heard(text)

    async def close(self) -> None:
        self.news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds():
                self.news.clear()
                await self.news.wait()

    def hints(self) -> list[str]:
        """What was said, without who said it."""
        return [hint for text in self.said for hint in text.split("\n")[1:]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_hints, "PAUSE_S", 0.0)
    monkeypatch.setattr(shared_hints, "RETRY_FIRST_S", 0.001)
    monkeypatch.setattr(shared_hints, "RETRY_MOST_S", 0.001)


async def test_a_line_that_is_not_there_at_first_is_opened_later() -> None:
    line = FakeLine()
    line.refuses = True
    hints = SharedHints(line)
    heard: list[str | None] = []
    hints.hear("ready", heard.append)
    with capture_logs() as said:
        await hints.start()
        assert hints.trouble == "refused"
        hints.tell("ready")
        await line.until(lambda: line.opened >= 4)
        line.refuses = False
        await line.until(lambda: line.hints() == ["ready "])
    await hints.close()
    assert heard == ["", None], "at once here, and once more when the line is there"
    assert [entry["event"] for entry in said] == ["hints.away", "hints.back"], "said once, not at every try"


async def test_what_could_not_be_said_is_said_later_once() -> None:
    line = FakeLine()
    hints = SharedHints(line)
    await hints.start()
    line.dumb = True
    hints.tell("events", "acc_1")
    await line.until(lambda: line.opened >= 3)
    hints.tell("events", "acc_2")
    hints.tell("events", "acc_1")
    line.dumb = False
    await line.until(lambda: len(line.hints()) >= 2)
    await hints.close()
    assert line.hints() == ["events acc_1", "events acc_2"]


async def test_a_line_on_which_nothing_comes_back_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_hints, "PING_S", 0.001)
    monkeypatch.setattr(shared_hints, "ANSWER_S", 0.01)
    line = FakeLine()
    hints = SharedHints(line)
    await hints.start()
    assert hints.trouble is None
    line.deaf = True
    await line.until(lambda: line.opened >= 3)
    assert hints.trouble == "a line: nothing comes back", "being open is not enough"
    line.deaf = False
    await line.until(lambda: hints.trouble is None)
    opened = line.opened
    said = len(line.said)
    await line.until(lambda: len(line.said) >= said + 20)
    await hints.close()
    assert line.opened == opened, "a silent line that answers is left alone"


async def test_a_line_that_ends_is_opened_anew() -> None:
    line = FakeLine()
    hints = SharedHints(line)
    await hints.start()
    line.broken()
    await line.until(lambda: line.opened == 2)
    await hints.close()


async def test_too_many_to_keep_become_one_for_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_hints, "MAX_PENDING", 3)
    line = FakeLine()
    hints, other = SharedHints(line), LocalHints()
    await hints.start()
    for number in range(9):
        hints.tell("events", f"acc_{number}")
    await line.until(lambda: bool(line.hints()))
    await hints.close()
    assert "*" in line.hints()
    assert len(line.hints()) <= 3
    assert other.trouble is None


async def test_everything_wakes_everybody_and_strange_words_nobody() -> None:
    line = FakeLine()
    hints = SharedHints(line)
    heard: list[tuple[str, str | None]] = []
    hints.hear("ready", lambda about: heard.append(("ready", about)))
    hints.hear("events", lambda about: heard.append(("events", about)))
    await hints.start()
    line.heard("somebody else\n*")
    line.heard("somebody else\nweather fine\n\nevents acc_1")
    line.heard("")
    await hints.close()
    assert heard == [("ready", None), ("events", None), ("events", "acc_1")]


async def test_one_who_fails_keeps_nobody_from_hearing() -> None:
    hints = LocalHints()
    heard: list[str | None] = []

    def fail(_: str | None) -> None:
        raise IndexError

    hints.hear("ready", fail)
    hints.hear("ready", heard.append)
    with capture_logs() as said:
        hints.tell("ready")
    assert heard == [""]
    assert [entry["event"] for entry in said] == ["hint.failed"]


def test_texts_hold_every_hint_and_none_is_too_long() -> None:
    hints = [f"events acc_{number:026}" for number in range(1_000)]
    made = list(texts("prc_1", hints))
    assert all(len(text.encode()) <= MAX_TEXT_BYTES for text in made)
    assert len(made) < 10
    assert [hint for text in made for hint in text.split("\n")[1:]] == hints
    assert all(text.startswith("prc_1\n") for text in made)
    assert list(texts("prc_1", [])) == ["prc_1"], "who has nothing to say still says that it is there"
