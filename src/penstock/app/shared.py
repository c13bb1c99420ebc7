"""What processes share beside the database: hints to each other, and rate limits. By Redis where there is one.

PENSTOCK_REDIS_URL       hints and limits over Redis
PENSTOCK_DATABASE_URL    hints over PostgreSQL, limits in each process
neither                  one process by itself; another one on the same SQLite file is found by the polls
"""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from penstock.admission.limiter import InProcessRateLimiter, RateLimiter
from penstock.admission.redis_limiter import RedisRateLimiter
from penstock.kit.clock import Clock
from penstock.kit.errors import Problem
from penstock.kit.hints import Hints, LocalHints
from penstock.kit.postgres_hints import PostgresLine
from penstock.kit.redis_hints import RedisLine
from penstock.kit.redis_server import RedisServer, RedisUnavailableError
from penstock.kit.shared_hints import Line, SharedHints
from penstock.product.settings import Settings


@dataclass(frozen=True)
class Shared:
    """What a process has in common with others."""

    hints: Hints
    limiter: RateLimiter
    redis: RedisServer | None = None

    def checks(self) -> dict[str, str]:
        """Return how it is, by name, for health: `away` costs speed and nothing else."""
        if self.redis is not None:
            return {"redis": "away" if self.redis.trouble or self.hints.trouble else "ok"}
        if isinstance(self.hints, SharedHints):
            return {"wake_ups": "away" if self.hints.trouble else "ok"}
        return {}


async def open_shared(stack: AsyncExitStack, settings: Settings, product: str, clock: Clock) -> Shared:
    """Return what this process shares, until the stack is closed.

    Args:
        product: the product's name; others on the same Redis server are kept apart by it.
    Errors: Problem `unavailable` for a Redis server that can't be used, and why.
    """
    alone = InProcessRateLimiter(clock)
    if settings.redis_url is not None:
        redis = await _redis(stack, settings.redis_url)
        prefix = f"penstock:{product}:{redis.database}"
        hints = await _talking(stack, RedisLine(redis, f"{prefix}:hints"))
        return Shared(hints, RedisRateLimiter(redis, f"{prefix}:rates", alone), redis)
    if settings.database_url is not None:
        return Shared(await _talking(stack, PostgresLine(settings.database_url)), alone)
    return Shared(LocalHints(), alone)


async def _redis(stack: AsyncExitStack, url: str) -> RedisServer:
    try:
        redis = await RedisServer.open(url)
    except RedisUnavailableError as error:
        raise Problem("unavailable", str(error)) from error
    stack.push_async_callback(redis.close)
    return redis


async def _talking(stack: AsyncExitStack, line: Line) -> SharedHints:
    hints = SharedHints(line)
    stack.push_async_callback(hints.close)
    await hints.start()
    return hints
