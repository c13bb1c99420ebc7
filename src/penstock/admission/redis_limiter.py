"""Rate limits that all processes share: the arithmetic of `rates` as a script that Redis runs, by Redis' own clock.

One number a key, which expires as soon as it says nothing any more. While Redis is away each process counts by
itself: limits are then as many times wider as there are processes, and nobody is refused for want of an answer.
"""

from typing import Any

from redis.asyncio import Redis

from penstock.admission.limiter import RateLimiter
from penstock.admission.rates import Decision, Rate, each_ns
from penstock.kit.redis_server import RedisServer, RedisUnavailableError

_US = 1_000_000

# The same as `rates.decide`, in microseconds: Lua's numbers are doubles, exact to a quarter of one for today's times.
# What is over by less than a microsecond is over by rounding alone.
# KEYS: the key's `tat`. ARGV: microseconds for each, burst, cost. Returns: microseconds over, `tat` after, now.
TAKE = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local each, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local window = burst * each
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
local start = math.min(math.max(tat, now), now + window)
local moved = start + cost * each
local over = moved - (now + window)
if over >= 1 then
    return {string.format('%.3f', over), string.format('%.3f', start), string.format('%.0f', now)}
end
redis.call('SET', KEYS[1], string.format('%.3f', moved), 'PX', math.ceil((moved - now) / 1000) + 1)
return {'0', string.format('%.3f', moved), string.format('%.0f', now)}
"""


class RedisRateLimiter:
    """A rate limiter for all processes on one Redis server. See `RateLimiter`.

    Args:
        prefix: of every key here.
        alone: who decides while Redis is away.
    """

    def __init__(self, server: RedisServer, prefix: str, alone: RateLimiter) -> None:
        self._server, self._prefix, self._alone = server, prefix, alone
        self._script = server.client.register_script(TAKE)

    async def take(self, key: str, rate: Rate, cost: int = 1) -> Decision:
        """Decide and count; see `RateLimiter.take`."""
        if not 1 <= cost <= rate.burst:
            raise ValueError(f"a cost of {cost} does not fit a burst of {rate.burst}")
        each_us = each_ns(rate.per_second) / 1_000

        async def question(client: Redis) -> Any:
            return await self._script([f"{self._prefix}:{rate.name}:{key}"], [each_us, rate.burst, cost], client)

        try:
            over, tat, now = map(float, await self._server.ask(question))
        except RedisUnavailableError:
            return await self._alone.take(key, rate, cost)
        return Decision(
            allowed=over <= 0,
            tat=round(tat * 1_000),
            retry_after_s=(over + 1) / _US if over > 0 else 0.0,
            remaining=int((now + rate.burst * each_us - tat + 1) // each_us),
            full_after_s=(tat - now) / _US,
        )
