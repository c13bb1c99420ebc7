"""How many jobs a worker runs at one time: more while there are jobs left over, fewer when it has been quiet. Pure.

It doubles at most every `GROW_S`, so that of a burst every process gets its part, and not all of it the first one.
"""

from dataclasses import dataclass, replace

GROW_S = 0.25
CALM_S = 30.0  # how long less than half must have been in use before it shrinks


@dataclass(frozen=True)
class Pool:
    """The slots of a worker.

    Args:
        least: and `most`: the bounds of `size`.
        size: jobs that it runs at one time now.
        grown_at: when it grew last, in seconds since 1970 UTC.
        busy_at: when more than half of it was last in use.
    """

    least: int
    most: int
    size: int
    grown_at: float = float("-inf")
    busy_at: float = float("-inf")

    @classmethod
    def between(cls, least: int, most: int) -> "Pool":
        """Return a pool that starts small."""
        return cls(least, most, least)

    def full(self, now: float) -> "Pool":
        """Return the pool after a look that found every slot taken: there may be more to do."""
        if self.size < self.most and now - self.grown_at >= GROW_S:
            return replace(self, size=min(self.most, 2 * self.size), grown_at=now, busy_at=now)
        return replace(self, busy_at=now)

    def with_room(self, running: int, now: float) -> "Pool":
        """Return the pool after a look that left slots free."""
        if 2 * running > self.size or self.size == self.least:
            return replace(self, busy_at=now)
        if now - self.busy_at < CALM_S:
            return self
        return replace(self, size=max(self.least, running, self.size // 2), busy_at=now)
