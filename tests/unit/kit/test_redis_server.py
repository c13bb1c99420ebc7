"""The Redis server: clear words at the start, no waiting while it is away, and said once."""

import asyncio
from collections.abc import Iterator

import pytest
from redis import Redis
from structlog.testing import capture_logs

from penstock.admission.limiter import InProcessRateLimiter
from penstock.admission.rates import Rate
from penstock.admission.redis_limiter import RedisRateLimiter
from penstock.kit import redis_server
from penstock.kit.clock import ManualClock
from penstock.kit.redis_server import RedisServer, RedisUnavailableError, shown
from tests.support import redis
from tests.support.flows import PATIENCE_S


@pytest.fixture
def own() -> Iterator[redis.Server]:
    """A server that the test may kill."""
    with redis.server() as started:
        yield started


async def test_a_server_that_is_not_there() -> None:
    with pytest.raises(RedisUnavailableError, match=r"redis://127\.0\.0\.1:1/0 can't be reached") as caught:
        await RedisServer.open("redis://ann:secret@127.0.0.1:1/0")
    assert "secret" not in str(caught.value)


async def test_a_server_that_is_too_old(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "OLDEST_VERSION", (99, 1))
    with pytest.raises(RedisUnavailableError, match=r"is Redis \d+\.\d+\.\d+, and Penstock needs 99\.1 or later"):
        await RedisServer.open(redis_url)


async def test_a_wrong_password() -> None:
    with redis.server("--requirepass", "right") as guarded:
        address = guarded.url.replace("redis://", "redis://:wrong@")
        with pytest.raises(RedisUnavailableError, match="refuses the user or the password") as caught:
            await RedisServer.open(address)
        right = await RedisServer.open(guarded.url.replace("redis://", "redis://:right@"))
        await right.close()
    assert "wrong" not in str(caught.value).replace("wrong number", "")


async def test_a_limit_goes_on_in_the_process_while_the_server_is_away(
    own: redis.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "REST_S", 0.0)
    monkeypatch.setattr(redis_server, "ASK_S", PATIENCE_S)  # a server that is slow is not away
    server = await RedisServer.open(own.url)
    limiter = RedisRateLimiter(server, "limits", InProcessRateLimiter(ManualClock()))
    rate = Rate.per("x", 2, 3_600)
    with capture_logs() as said:
        before = await limiter.take("ann", rate)
        own.kill()
        alone = [await limiter.take("ann", rate) for _ in range(3)]
        trouble = server.trouble
        own.start()
        after = await limiter.take("ann", rate)
    await server.close()

    assert (before.allowed, before.remaining) == (True, 1)
    assert [decision.allowed for decision in alone] == [True, True, False], "a limit holds while it is away, too"
    assert trouble is not None
    assert (after.allowed, after.remaining, server.trouble) == (True, 1, None), "also a server that has forgotten all"
    assert [entry["event"] for entry in said] == ["redis.away", "redis.back"], "said once, not at every question"


async def test_nobody_waits_for_a_server_that_is_known_to_be_away(
    own: redis.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "REST_S", 1_000.0)
    server = await RedisServer.open(own.url)
    own.kill()
    asked = 0

    async def question(_: object) -> str:
        nonlocal asked
        asked += 1
        return str(await server.client.get("x"))

    for _ in range(5):
        with pytest.raises(RedisUnavailableError):
            await server.ask(question)
    await server.close()
    assert asked == 1


async def test_a_server_that_does_not_answer_in_time(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "ASK_S", 0.01)
    server = await RedisServer.open(redis_url)

    async def question(_: object) -> None:
        await asyncio.Event().wait()

    with pytest.raises(RedisUnavailableError, match="no answer in time"):
        await server.ask(question)
    await server.close()


async def test_an_answer_that_comes_too_late_is_given_to_nobody(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next question on the same connection would get the answer to the one before."""
    monkeypatch.setattr(redis_server, "REST_S", 0.0)
    monkeypatch.setattr(redis_server, "CONNECTIONS", 1)
    server = await RedisServer.open(redis_url)
    await server.client.mset({"first": "one", "second": "two"})
    with Redis.from_url(redis_url) as another:
        another.client_pause(int(PATIENCE_S * 1_000), all=False)  # whatever writes has to wait
        monkeypatch.setattr(redis_server, "ASK_S", 0.01)
        with pytest.raises(RedisUnavailableError, match="no answer in time"):
            await server.ask(lambda client: client.getdel("first"))
        another.client_unpause()
    monkeypatch.setattr(redis_server, "ASK_S", PATIENCE_S)
    assert await server.ask(lambda client: client.get("second")) == "two"
    await server.close()


def test_an_address_is_shown_without_its_secrets() -> None:
    assert shown("rediss://ann:secret@cache.example.org:6380/2?x=secret") == "rediss://cache.example.org:6380/2"
