"""Every rate limiter lets in the same: a burst, what comes back with time, each key and each rate by itself."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from redis import Redis

from penstock.admission.limiter import InProcessRateLimiter, RateLimiter
from penstock.admission.rates import Rate
from penstock.admission.redis_limiter import RedisRateLimiter
from penstock.kit import redis_server
from penstock.kit.clock import ManualClock
from penstock.kit.redis_server import RedisServer

SLACK = 0.02  # share of a window: Redis' clock goes on while the test runs
HOUR = 3_600.0


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, nobody stands in for Redis."""
    monkeypatch.setattr(redis_server, "ASK_S", 20.0)


class Timed:
    """A rate limiter, and how time passes for it."""

    def __init__(self, limiter: RateLimiter, passes: Callable[[float], None]) -> None:
        self.take, self.passes = limiter.take, passes


@pytest.fixture(params=["in process", "redis"])
async def limiter(request: pytest.FixtureRequest) -> AsyncIterator[Timed]:
    if request.param == "in process":
        clock = ManualClock()
        yield Timed(InProcessRateLimiter(clock), clock.advance)
        return
    url = request.getfixturevalue("redis_url")
    server = await RedisServer.open(url)

    def passes(seconds: float) -> None:
        """Move what is remembered into the past: the same as moving the present on."""
        with Redis.from_url(url, decode_responses=True) as client:
            for key in client.keys("limits:*"):
                left_ms = client.pttl(key) - int(seconds * 1_000)
                if left_ms <= 0:
                    client.delete(key)
                else:
                    client.set(key, f"{float(client.get(key)) - seconds * 1e6:.3f}", px=left_ms)

    yield Timed(RedisRateLimiter(server, "limits", InProcessRateLimiter(ManualClock())), passes)
    assert server.trouble is None, "nobody has stood in for it"
    await server.close()


async def test_a_burst_comes_in_and_the_next_is_told_when(limiter: Timed) -> None:
    rate = Rate.per("x", 4, HOUR)
    taken = [await limiter.take("ann", rate) for _ in range(4)]
    refused = await limiter.take("ann", rate)

    assert [decision.remaining for decision in taken] == [3, 2, 1, 0]
    assert all(decision.allowed and decision.retry_after_s == 0 for decision in taken)
    assert (refused.allowed, refused.remaining) == (False, 0)
    assert refused.retry_after_s == pytest.approx(HOUR / 4, rel=SLACK)
    assert refused.full_after_s == pytest.approx(HOUR, rel=SLACK)


async def test_what_comes_back_with_time_comes_in(limiter: Timed) -> None:
    rate = Rate.per("x", 4, HOUR)
    for _ in range(4):
        await limiter.take("ann", rate)
    refused = await limiter.take("ann", rate)
    limiter.passes(refused.retry_after_s / 2)
    assert not (await limiter.take("ann", rate)).allowed
    limiter.passes(refused.retry_after_s / 2)
    assert (await limiter.take("ann", rate)).allowed, "the time to come back is no lie"
    assert not (await limiter.take("ann", rate)).allowed
    limiter.passes(HOUR)
    assert (await limiter.take("ann", rate)).remaining == 3


async def test_keys_and_rates_are_kept_apart(limiter: Timed) -> None:
    one, two = Rate.per("one", 1, HOUR), Rate.per("two", 1, HOUR)

    assert (await limiter.take("ann", one)).allowed
    assert not (await limiter.take("ann", one)).allowed
    assert (await limiter.take("bob", one)).allowed
    assert (await limiter.take("ann", two)).allowed


async def test_a_costly_thing_counts_for_several_and_takes_nothing_when_refused(limiter: Timed) -> None:
    rate = Rate.per("x", 10, HOUR)
    first = await limiter.take("ann", rate, 7)
    second = await limiter.take("ann", rate, 7)
    third = await limiter.take("ann", rate, 3)

    assert (first.allowed, first.remaining) == (True, 3)
    assert (second.allowed, second.remaining) == (False, 3)
    assert second.retry_after_s == pytest.approx(0.4 * HOUR, rel=SLACK)
    assert (third.allowed, third.remaining) == (True, 0)


@pytest.mark.parametrize("cost", [0, -1, 11])
async def test_a_cost_that_can_never_fit_is_an_error(limiter: Timed, cost: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        await limiter.take("ann", Rate.per("x", 10, HOUR), cost)


async def test_a_burst_at_one_moment_lets_in_exactly_that_many(limiter: Timed) -> None:
    rate = Rate.per("x", 50, HOUR)
    decisions = await asyncio.gather(*(limiter.take("ann", rate) for _ in range(80)))
    assert sum(decision.allowed for decision in decisions) == 50


async def test_two_processes_share_one_limit(redis_url: str) -> None:
    servers = [await RedisServer.open(redis_url) for _ in range(2)]
    both = [RedisRateLimiter(server, "limits", InProcessRateLimiter(ManualClock())) for server in servers]
    rate = Rate.per("x", 30, HOUR)
    asked: list[Coroutine[Any, Any, Any]] = [limiter.take("ann", rate) for _ in range(30) for limiter in both]
    decisions = await asyncio.gather(*asked)
    for server in servers:
        await server.close()
    assert sum(decision.allowed for decision in decisions) == 30


async def test_a_key_goes_by_itself_when_it_says_nothing_any_more(redis_url: str) -> None:
    server = await RedisServer.open(redis_url)
    limiter = RedisRateLimiter(server, "limits", InProcessRateLimiter(ManualClock()))
    await limiter.take("ann", Rate.per("slow", 2, HOUR))
    await limiter.take("ann", Rate.per("quick", 100, 1))
    slow, quick = await server.client.pttl("limits:slow:ann"), await server.client.pttl("limits:quick:ann")
    await server.close()
    assert 0.9 * HOUR * 500 < slow <= HOUR * 500 + 1
    assert quick <= 11


async def test_a_clock_set_back_locks_nobody_out_for_longer_than_the_window(redis_url: str) -> None:
    server = await RedisServer.open(redis_url)
    limiter = RedisRateLimiter(server, "limits", InProcessRateLimiter(ManualClock()))
    await server.client.set("limits:x:ann", "9000000000000000")  # in the year 2255
    refused = await limiter.take("ann", Rate.per("x", 10, HOUR))
    await server.close()
    assert not refused.allowed
    assert refused.retry_after_s == pytest.approx(HOUR / 10, rel=SLACK)
