"""Hints over every line: each process hears what the others tell, soon and without a poll, also after a break."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from tests.support import postgres, redis
from tests.support.flows import PATIENCE_S

from penstock.kit import shared_hints
from penstock.kit.postgres_hints import PostgresLine
from penstock.kit.redis_hints import RedisLine
from penstock.kit.redis_server import RedisServer
from penstock.kit.shared_hints import SharedHints

KINDS = ("postgresql", "redis")


class Ear:
    """Remembers what was heard of one topic, and lets a test wait for it."""

    def __init__(self, hints: SharedHints, topic: str = "events") -> None:
        self.heard: list[str | None] = []
        self._news = asyncio.Event()
        hints.hear(topic, self._hear)

    def _hear(self, about: str | None) -> None:
        self.heard.append(about)
        self._news.set()

    async def until(self, holds: Callable[[list[str | None]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not holds(self.heard):
                self._news.clear()
                await self._news.wait()


class Place:
    """A server that a test may stop, and hints on it: each as if in a process of its own."""

    def __init__(self, stack: AsyncExitStack, kind: str, url: str) -> None:
        self._stack, self.kind, self.url = stack, kind, url

    async def process(self) -> SharedHints:
        if self.kind == "redis":
            server = await RedisServer.open(self.url)
            self._stack.push_async_callback(server.close)
            hints = SharedHints(RedisLine(server, "penstock:testing:0:hints"))
        else:
            hints = SharedHints(PostgresLine(self.url))
        self._stack.push_async_callback(hints.close)
        await hints.start()
        return hints


@pytest.fixture(params=KINDS)
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "redis_url")
    async with AsyncExitStack() as stack:
        yield Place(stack, request.param, url)


async def test_a_hint_is_heard_here_at_once_and_elsewhere_soon(place: Place) -> None:
    one, two = await place.process(), await place.process()
    here, there, other = Ear(one), Ear(two), Ear(two, "ready")
    one.tell("events", "acc_1")
    assert here.heard == ["acc_1"], "in the process itself nothing comes between"
    await there.until(lambda heard: heard == ["acc_1"])
    two.tell("events", "acc_2")
    await here.until(lambda heard: heard == ["acc_1", "acc_2"])
    assert there.heard == ["acc_1", "acc_2"], "what comes back from the line is not heard a second time"
    assert other.heard == []


async def test_a_hint_about_nothing(place: Place) -> None:
    one, two = await place.process(), await place.process()
    there = Ear(two, "ready")
    one.tell("ready")
    await there.until(lambda heard: heard == [""])


async def test_more_than_fits_one_text_arrives_whole_and_in_order(place: Place) -> None:
    one, two = await place.process(), await place.process()
    there = Ear(two)
    told = [f"acc_{number:026}" for number in range(2_000)]
    for about in told:
        one.tell("events", about)
        one.tell("events", about)  # twice in a breath is once
    await there.until(lambda heard: len(heard) >= len(told))
    assert there.heard == told


async def test_what_is_told_last_is_said_before_it_closes(place: Place) -> None:
    one, two = await place.process(), await place.process()
    there = Ear(two)
    one.tell("events", "acc_last")
    await one.close()
    await there.until(lambda heard: heard == ["acc_last"])


# ---- a server that goes and comes back ----------------------------------------------------------------------------


@pytest.fixture(params=KINDS)
def stoppable(request: pytest.FixtureRequest) -> Iterator[tuple[str, str, Callable[[], None], Callable[[], None]]]:
    """A server of one's own: its kind, its address, and how to stop and start it."""
    if request.param == "redis":
        with redis.server() as own:
            yield "redis", own.url, own.kill, own.start
        return
    folder = Path(tempfile.mkdtemp(prefix="penstock-postgres-"))
    folder.chmod(0o755)
    server = postgres.Server(folder / "server", **postgres.FAST)
    server.make()
    server.start()
    try:
        yield "postgresql", server.url(), lambda: server.stop("immediate"), server.start
    finally:
        server.stop("immediate")
        shutil.rmtree(folder, ignore_errors=True)


async def test_after_a_break_everybody_looks_once_and_hears_again(
    stoppable: tuple[str, str, Callable[[], None], Callable[[], None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_hints, "RETRY_MOST_S", 0.05)
    monkeypatch.setattr(shared_hints, "PING_S", 3_600.0)  # the line itself tells that it has ended
    kind, url, stop, start = stoppable
    async with AsyncExitStack() as stack:
        place = Place(stack, kind, url)
        one, two = await place.process(), await place.process()
        here, there = Ear(one), Ear(two)
        await asyncio.to_thread(stop)
        async with asyncio.timeout(PATIENCE_S):
            while one.trouble is None or two.trouble is None:
                await asyncio.sleep(0)
        one.tell("events", "acc_lost")
        assert here.heard[-1] == "acc_lost", "this process needs no server to hear itself"
        await asyncio.to_thread(start)
        await here.until(lambda heard: None in heard)
        await there.until(lambda heard: None in heard)
        assert [hints.trouble for hints in (one, two)] == [None, None]
        one.tell("events", "acc_again")
        await there.until(lambda heard: heard[-1] == "acc_again")
        assert there.heard.count(None) == 1
