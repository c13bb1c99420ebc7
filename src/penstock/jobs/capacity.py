"""What a provider may be asked at one time and within a minute, over all processes: reserved before it is asked.

    claim (leaves out what has no room) -> reserve -> ask -> settle_up

One row for each request of the last minute is counted, so the limits hold exactly in every window of a minute, and
whoever crashes leaves nothing to be put right: a request counts as under way only while its job runs under the same
fence. Tokens are reserved as the most of any recent request and corrected to what was used. A provider that
says "too many" is left alone by everybody until the moment it names.
"""

from collections.abc import Collection
from dataclasses import dataclass

import structlog

from penstock.kit.database import Row, Transaction
from penstock.observability import metrics
from penstock.product.schema import Product
from penstock.product.schema_providers import ProviderLimits
from penstock.providers.seam import ProviderError

WINDOW_S = 61.0
"""A minute, and a second for requests that travel at different speeds."""
KEPT_S = 3_600.0
"""How long a reservation is kept: what requests of the last hour used tells what the next ones will."""
HIGH_SHARE = 0.8
RECENT_REQUESTS = 100
KNOWN_REQUESTS = 20
"""From so many measured requests on their most is reserved; of fewer the next may well use more than any."""
ANY_NUMBER = 1_000_000  # requests: what a provider without limits can take

log = structlog.get_logger()

# Makes the row and locks it until the commit: whoever reserves at the same provider waits here.
LOCK_PROVIDER = """
INSERT INTO provider_states (provider, paused_until) VALUES (:provider, 0)
ON CONFLICT (provider) DO UPDATE SET provider = excluded.provider RETURNING paused_until
"""

PAUSE = """
INSERT INTO provider_states (provider, paused_until) VALUES (:provider, :until)
ON CONFLICT (provider) DO UPDATE SET paused_until = excluded.paused_until
WHERE provider_states.paused_until < excluded.paused_until
"""

PAUSED = "SELECT provider, paused_until FROM provider_states WHERE paused_until > :now"

USED = """
SELECT COUNT(*) AS requests, COALESCE(SUM(tokens), 0) AS tokens, MIN(taken_at) AS oldest FROM reservations
WHERE provider = :provider AND taken_at > :since
"""

UNDER_WAY = """
SELECT COUNT(*) FROM reservations JOIN jobs ON jobs.id = reservations.job_id AND jobs.fence = reservations.fence
WHERE reservations.provider = :provider AND reservations.done_at IS NULL AND jobs.state = 'running'
"""

TOKENS = """
SELECT COUNT(*) AS requests, MAX(tokens) AS most, AVG(tokens) AS mean FROM (
    SELECT tokens FROM reservations WHERE provider = :provider AND done_at IS NOT NULL AND measured
    ORDER BY taken_at DESC LIMIT :limit
) AS recent
"""

RESERVE = """
INSERT INTO reservations (job_id, fence, provider, taken_at, tokens, measured)
VALUES (:job_id, :fence, :provider, :now, :tokens, false)
ON CONFLICT (job_id, fence, provider) DO UPDATE
SET taken_at = excluded.taken_at, tokens = excluded.tokens, measured = false, done_at = NULL
"""

# A request that is over makes room for another one of the same attempt: it goes on counting in its minute, under a
# fence that no job ever has.
SET_ASIDE = """
UPDATE reservations SET fence = -fence WHERE job_id = :job_id AND fence = :fence AND provider = :provider
"""

SETTLE_UP = """
UPDATE reservations SET done_at = :now, tokens = COALESCE(:tokens, tokens), measured = :measured
WHERE job_id = :job_id AND fence = :fence AND provider = :provider
"""

CARRY_OVER = """
UPDATE reservations SET fence = :fence WHERE job_id = :job_id AND fence = :before AND provider = :provider
"""

FORGET = """
DELETE FROM reservations WHERE taken_at < :before AND NOT EXISTS (
    SELECT 1 FROM jobs WHERE jobs.id = reservations.job_id AND jobs.fence = reservations.fence
    AND jobs.state = 'running')
"""


class NoRoomError(ProviderError):
    """Nobody was asked: the job waits, not before `until` if that is known, and loses no try."""

    def __init__(self, detail: str, until: float | None) -> None:
        super().__init__("limited", detail, until=until)


@dataclass(frozen=True)
class Room:
    """What is used of a provider's limits.

    Args:
        shares: used of each limit that the product file names, by its name; 1 and above is full.
        free_at: when the oldest request leaves the window, in seconds since 1970 UTC; None where time alone frees
            nothing: somebody's request has to end.
    """

    shares: dict[str, float]
    free_at: float | None

    @property
    def full(self) -> list[str]:
        """The limits that leave no room for another request."""
        return [name for name, share in self.shares.items() if share >= 1]


@dataclass(frozen=True)
class Tokens:
    """What one request uses: `most`, which is reserved for it while it runs, and on average."""

    most: int
    mean: float

    def window(self, duration_s: float) -> float:
        """Return the tokens of a request's part in a window, on average, while such requests follow each other.

        Args:
            duration_s: seconds that a request takes and its reservation stands.
        """
        return self.mean + (self.most - self.mean) * min(1.0, duration_s / WINDOW_S)


@dataclass(frozen=True)
class Outlook:
    """What a provider can take: `room` requests at once, then `per_s` a second; nothing before `closed_until`.

    `closed_until` is in seconds since 1970 UTC.
    """

    room: int
    per_s: float
    closed_until: float = 0.0


def outlooks(tx: Transaction, product: Product, usable: Collection[str], duration_s: float) -> dict[str, Outlook]:
    """Return what those providers can take that are limited or pause, by name.

    Args:
        duration_s: seconds that a request takes.
    """
    closed = {row["provider"]: row["paused_until"] for row in tx.all(PAUSED, now=tx.now)}
    found = {}
    for name, provider in product.providers.items():
        if name in usable and (provider.limits is not None or name in closed):
            room, per_s = _pace(tx, name, provider.limits or ProviderLimits(), duration_s)
            found[name] = Outlook(room, per_s, closed.get(name, 0.0))
    return found


def wait_for_room(route: Collection[Outlook], ahead: int, now: float) -> float:
    """Return the seconds until the providers of a route can take one more request after `ahead` others."""
    opens_s = max(0.0, min(each.closed_until for each in route) - now)
    before = ahead + 1 - sum(each.room for each in route)
    return opens_s + (before / sum(each.per_s for each in route) if before > 0 else 0.0)


def _pace(tx: Transaction, name: str, limits: ProviderLimits, duration_s: float) -> tuple[int, float]:
    """Return how many requests a provider can take at once, and how many a second from then on."""
    shares = room(tx, name, limits).shares
    sizes = {
        "requests_per_minute": (limits.requests_per_minute, WINDOW_S),
        "tokens_per_minute": (_requests_in_tokens(tx, name, limits, duration_s), WINDOW_S),
        "concurrency": (limits.concurrency, duration_s),
    }
    known = [(size, size * (1 - shares[limit]), span_s) for limit, (size, span_s) in sizes.items() if size is not None]
    at_once = min((free for _, free, _ in known), default=ANY_NUMBER)
    return max(0, int(at_once)), min((size / span_s for size, _, span_s in known), default=ANY_NUMBER)


def _requests_in_tokens(tx: Transaction, name: str, limits: ProviderLimits, duration_s: float) -> float | None:
    """Return how many requests of usual size the tokens of a minute are enough for; None where they aren't limited."""
    if limits.tokens_per_minute is None:
        return None
    used = tokens_of(tx, name, limits)
    unused = used.most / 2  # too little for the next request, on average
    return max(1.0, (limits.tokens_per_minute - unused) / max(1.0, used.window(duration_s)))


def blocked(
    tx: Transaction, product: Product, usable: Collection[str], pausing: Collection[str] = frozenset()
) -> list[str]:
    """Return the operations that nobody in their route has room for; claiming their jobs would be in vain.

    Args:
        usable: names of the providers that are on.
        pausing: those that this process leaves alone for now, as they failed too often.
    """
    closed = {*pausing, *(row["provider"] for row in tx.all(PAUSED, now=tx.now))}
    for name, provider in product.providers.items():
        if name in usable and name not in closed and provider.limits is not None:
            closed |= {name} if room(tx, name, provider.limits).full else set()
    if not closed:
        return []
    routes = {
        name: [each for each in operation.providers if each in usable] for name, operation in product.operations.items()
    }
    return [name for name, route in routes.items() if route and closed.issuperset(route)]


def room(tx: Transaction, provider: str, limits: ProviderLimits, wanted: int | None = None) -> Room:
    """Count what a provider is doing and has done within the window.

    Args:
        wanted: tokens that the next request is expected to use; what is usual if None.
    """
    used: Row = tx.one(USED, provider=provider, since=tx.now - WINDOW_S) or {}
    shares = {}
    if limits.requests_per_minute is not None:
        shares["requests_per_minute"] = used["requests"] / limits.requests_per_minute
    if limits.tokens_per_minute is not None:
        each = tokens_of(tx, provider, limits).most if wanted is None else wanted
        fits = used["tokens"] + min(each, limits.tokens_per_minute) <= limits.tokens_per_minute
        share = used["tokens"] / limits.tokens_per_minute
        shares["tokens_per_minute"] = min(share, 0.999) if fits else max(share, 1.0)
    free_at = used["oldest"] + WINDOW_S if any(share >= 1 for share in shares.values()) else None
    if limits.concurrency is not None:
        shares["concurrency"] = int(tx.value(UNDER_WAY, provider=provider)) / limits.concurrency
    return Room(shares, free_at)


def tokens_of(tx: Transaction, provider: str, limits: ProviderLimits) -> Tokens:
    """Return what recent requests used; while few have been measured, also what the file expects.

    The most of them is reserved: any smaller quantile is exceeded now and then by requests under way together, and
    then the provider refuses.
    """
    recent: Row = tx.one(TOKENS, provider=provider, limit=RECENT_REQUESTS) or {}
    if recent["most"] is None:
        return Tokens(limits.tokens_each, limits.tokens_each)
    least = limits.tokens_each if recent["requests"] < KNOWN_REQUESTS else 0
    return Tokens(max(int(recent["most"]), least), float(recent["mean"]))


def reserve(tx: Transaction, job_id: str, fence: int, provider: str, limits: ProviderLimits) -> None:
    """Take room for one request. Errors: NoRoomError."""
    paused_until = float(tx.value(LOCK_PROVIDER, provider=provider))
    if paused_until > tx.now:
        raise NoRoomError(f"{provider} said: too many requests; pausing", paused_until)
    tokens = 0 if limits.tokens_per_minute is None else tokens_of(tx, provider, limits).most
    before = room(tx, provider, limits, tokens)
    if before.full:
        raise NoRoomError(f"{provider} is full: {', '.join(before.full)}", before.free_at)
    tx.run(RESERVE, job_id=job_id, fence=fence, provider=provider, now=tx.now, tokens=tokens)
    after = room(tx, provider, limits, 0)
    tx.after_commit(lambda: _observe(provider, before, after))


def settle_up(
    tx: Transaction, job_id: str, fence: int, provider: str, tokens: int | None, full_until: float | None
) -> None:
    """Correct what was reserved to what was used, and remember a provider's own "too many" for everybody.

    Args:
        tokens: what the provider says it used; None leaves what was reserved.
        full_until: until when the provider takes no more, by its own word, in seconds since 1970 UTC.
    """
    measured = tokens is not None
    tx.run(SETTLE_UP, job_id=job_id, fence=fence, provider=provider, now=tx.now, tokens=tokens, measured=measured)
    if full_until is not None:
        tx.run(PAUSE, provider=provider, until=full_until)


def reserve_again(tx: Transaction, job_id: str, fence: int, provider: str, limits: ProviderLimits) -> None:
    """Take room for another request of the same attempt; the one before is over. Errors: NoRoomError."""
    tx.run(SET_ASIDE, job_id=job_id, fence=fence, provider=provider)
    reserve(tx, job_id, fence, provider, limits)


def carry_over(tx: Transaction, job_id: str, before: int, fence: int, provider: str) -> None:
    """Let a request that goes on at its provider count under the job's new fence."""
    tx.run(CARRY_OVER, job_id=job_id, before=before, fence=fence, provider=provider)


def forget_old(tx: Transaction) -> int:
    """Delete reservations that tell nothing any more; returns how many."""
    return tx.run(FORGET, before=tx.now - KEPT_S)


def _observe(provider: str, before: Room, after: Room) -> None:
    for name, share in after.shares.items():
        metrics.PROVIDER_CAPACITY.labels(provider, name).set(share)
        if before.shares[name] < HIGH_SHARE <= share:
            log.warning("provider.capacity_high", provider=provider, limit=name, share=round(share, 2))
