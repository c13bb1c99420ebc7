"""Slows down whoever guesses passwords, opens accounts in bulk, or sheds visitor's cookies for new ones.

Tries to sign in are counted three ways, each with free ones first and then a delay that doubles:

- by e-mail and address together, the strictest: one guesser at one account;
- by address: one guesser at many accounts (for IPv6 by its /64, which one customer has whole);
- by e-mail, with many free ones and a short longest delay: many guessers at one account. An address from which the
  owner signed in lately passes this count, so that only an owner elsewhere can be delayed by it, and nobody is ever
  delayed by it in a session that exists.

A try counts when it is let through and is taken back when it was right, so that parallel guesses all count. Counts
fade by one every `fade_s`. Memory is bounded; the longest unused goes first.
"""

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass

from penstock.admission.limiter import RateLimiter
from penstock.admission.rates import Rate
from penstock.kit.clock import Clock

MAX_TRACKED = 20_000  # keys of each kind
MOST_DOUBLINGS = 32
NETWORK_BITS = 64  # of an IPv6 address: what one customer is given


@dataclass(frozen=True)
class Patience:
    """How many tries are free, and how the delay grows after them: `first_delay_s`, then twice, up to `longest_s`.

    One try is forgotten every `fade_s` seconds.
    """

    free: int
    first_delay_s: float
    longest_s: float
    fade_s: float


@dataclass(frozen=True)
class Tries:
    """How many tries count (faded ones in part), and when the last was, in seconds since 1970 UTC."""

    count: float = 0.0
    last_at: float = 0.0


PAIR = Patience(free=5, first_delay_s=2, longest_s=900, fade_s=900)
ADDRESS = Patience(free=20, first_delay_s=2, longest_s=900, fade_s=60)
EMAIL = Patience(free=50, first_delay_s=1, longest_s=60, fade_s=120)
NEW_ACCOUNTS = Rate.per("new-accounts", burst=20, window_s=3_600)
LETTERS_TO = Rate.per("letters-to", burst=3, window_s=3_600)
LETTERS_FROM = Rate.per("letters-from", burst=20, window_s=3_600)
WAYS = Rate.per("sign-in-ways", burst=120, window_s=3_600)
NEW_VISITORS = Rate.per("new-visitors", burst=60, window_s=3_600)


def wait_s(tries: Tries, patience: Patience, now: float) -> float:
    """Return seconds until another try may be made; 0 for now."""
    over = math.floor(tries.count) - patience.free
    if over < 0:
        return 0.0
    delay_s = min(patience.first_delay_s * 2.0 ** min(over, MOST_DOUBLINGS), patience.longest_s)
    return min(max(0.0, tries.last_at + delay_s - now), patience.longest_s)  # a clock set back locks nobody out


def faded(tries: Tries, patience: Patience, now: float) -> Tries:
    """Return the tries with what has been forgotten since the last."""
    forgotten = max(0.0, now - tries.last_at) / patience.fade_s
    return Tries(max(0.0, tries.count - forgotten), tries.last_at)


def tried(tries: Tries, patience: Patience, now: float) -> Tries:
    """Return the tries with one more."""
    return Tries(faded(tries, patience, now).count + 1, now)


def network_of(address: str) -> str:
    """Return what stands for one customer: an IPv4 address, the /64 of an IPv6 one, anything else as it is."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, NETWORK_BITS), strict=False))


class _Tracked:
    """The tries under each key of one kind, as many as `MAX_TRACKED`."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._tries: OrderedDict[str, Tries] = OrderedDict()  # longest unused first

    def wait_s(self, key: str, now: float) -> float:
        return wait_s(self._tries.get(key, Tries()), self._patience, now)

    def add(self, key: str, now: float) -> None:
        self._tries[key] = tried(self._tries.get(key, Tries()), self._patience, now)
        self._tries.move_to_end(key)
        if len(self._tries) > MAX_TRACKED:
            self._tries.popitem(last=False)

    def take_back(self, key: str) -> None:
        known = self._tries.get(key)
        if known is not None:
            self._tries[key] = Tries(max(0.0, known.count - 1), known.last_at)

    def forget(self, key: str) -> None:
        self._tries.pop(key, None)


class SignInGuard:
    """The guard of accounts (`penstock.accounts.guard.Guard`) for one process and one event loop."""

    def __init__(self, clock: Clock, limiter: RateLimiter) -> None:
        self._clock = clock
        self._limiter = limiter
        self._pairs = _Tracked(PAIR)
        self._addresses = _Tracked(ADDRESS)
        self._emails = _Tracked(EMAIL)
        self._familiar: OrderedDict[str, None] = OrderedDict()  # pairs that signed in, longest ago first

    async def sign_in(self, email: str, address: str) -> float:
        """Return seconds to wait before another try, or 0 and count this one."""
        now = self._clock.now()
        network = network_of(address)
        pair = f"{network} {email}"
        email_wait_s = 0.0 if pair in self._familiar else self._emails.wait_s(email, now)
        longest_s = max(self._pairs.wait_s(pair, now), self._addresses.wait_s(network, now), email_wait_s)
        if longest_s == 0:
            self._pairs.add(pair, now)
            self._addresses.add(network, now)
            self._emails.add(email, now)
        return longest_s

    async def signed_in(self, email: str, address: str) -> None:
        """Take back a try that was right.

        Of the address and of the e-mail only that one: signing in to one's own account must not excuse guesses at
        others, nor the owner's success those of a guesser.
        """
        network = network_of(address)
        pair = f"{network} {email}"
        self._pairs.forget(pair)
        self._addresses.take_back(network)
        self._emails.take_back(email)
        self._familiar[pair] = None
        self._familiar.move_to_end(pair)
        if len(self._familiar) > MAX_TRACKED:
            self._familiar.popitem(last=False)

    async def new_account(self, address: str) -> float:
        """Return seconds to wait before another registration from this address, or 0 and count this one."""
        return (await self._limiter.take(network_of(address), NEW_ACCOUNTS)).retry_after_s

    async def way(self, address: str) -> float:
        """Return seconds to wait before another way to an OpenID provider, or 0 and count this one."""
        return (await self._limiter.take(network_of(address), WAYS)).retry_after_s

    async def letter(self, email: str, address: str) -> float:
        """Return seconds to wait before another letter to this e-mail, or for this address, or 0 and count this one."""
        from_s = (await self._limiter.take(network_of(address), LETTERS_FROM)).retry_after_s
        return from_s or (await self._limiter.take(email, LETTERS_TO)).retry_after_s

    async def new_visitor(self, address: str) -> float:
        """Return seconds to wait before another anonymous account for this address, or 0 and count this one."""
        return (await self._limiter.take(network_of(address), NEW_VISITORS)).retry_after_s
