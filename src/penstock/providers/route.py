"""Which provider does a job: in order or by weight, skipping what can't be used now; pure decisions over values.

    ordered (once a try) -> choose -> ask -> Breaker.after_success | after_failure -> choose ... -> nothing_left

A breaker stands before each provider (the circuit breaker of Nygard, "Release It!", 2007). It opens when of the
calls that ended within `BREAKER_WINDOW_S`, `BREAKER_CALLS` at least, the share `BREAKER_SHARE` failed; the provider is
skipped for `BREAKER_OPEN_S`, then one call is let through to see: its success closes the breaker. Each process has
breakers of its own, so each one tries for itself.
"""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from penstock.product.schema_work import Leg
from penstock.providers.prices import dollars
from penstock.providers.seam import FailureKind, ProviderError, UnfitError

BREAKER_WINDOW_S = 60.0
BREAKER_CALLS = 5  # fewer within the window say nothing
BREAKER_SHARE = 0.5  # of the calls within the window
BREAKER_OPEN_S = 30.0
BREAKER_KEPT = 40  # calls remembered, the newest: of a busy provider, 20 failures are enough

OFF, FAILED, PAUSING = "off", "failed in this try", "failed repeatedly; pausing"
"""Why a provider is skipped."""

# What another provider may mend. A refusal or the customer's own mistake would only be repeated elsewhere.
FAILS_OVER: frozenset[FailureKind] = frozenset({"transient", "limited", "exhausted", "broken"})
# What time may mend.
RETRIED: frozenset[FailureKind] = frozenset({"transient", "limited", "unknown"})
# What says something about the provider and not about the one request.
COUNTS_AGAINST: frozenset[FailureKind] = frozenset({"transient", "exhausted", "broken", "unknown"})
# What only a provider that works says.
COUNTS_FOR: frozenset[FailureKind] = frozenset({"refused"})


@dataclass(frozen=True)
class Call:
    """How a call ended: `at` in seconds since 1970 UTC."""

    at: float
    failed: bool


@dataclass(frozen=True)
class Breaker:
    """What is remembered of a provider; `open_until` in seconds since 1970 UTC, 0 while it is closed."""

    calls: tuple[Call, ...] = ()
    open_until: float = 0.0

    def after_success(self, now: float) -> "Breaker":
        """Count a success; the first one after a pause closes the breaker, and what was before is forgotten."""
        return Breaker() if self.open_until > 0 else replace(self, calls=self._with(Call(now, failed=False)))

    def after_failure(self, kind: FailureKind, now: float) -> "Breaker":
        """Count a failure, as far as it says something about the provider."""
        if kind in COUNTS_FOR:
            return self.after_success(now)
        if kind not in COUNTS_AGAINST:
            return self
        calls = self._with(Call(now, failed=True))
        many = len(calls) >= BREAKER_CALLS and sum(call.failed for call in calls) >= BREAKER_SHARE * len(calls)
        opens = many or kind == "exhausted" or self.open_until > 0
        return Breaker(calls, now + BREAKER_OPEN_S if opens else 0.0)

    def half_open(self, now: float) -> "Breaker":
        """Let one call through after the pause: nobody else until it is known how that went."""
        return replace(self, open_until=now + BREAKER_OPEN_S) if self.open_until > 0 else self

    def _with(self, newest: Call) -> tuple[Call, ...]:
        recent = [call for call in self.calls if call.at > newest.at - BREAKER_WINDOW_S]
        return (*recent[1 - BREAKER_KEPT :], newest)


@dataclass(frozen=True)
class Choice:
    """A provider, or None with the reasons why each in the route can't be used; for operators.

    `again_at` is when the first of those that pause may be asked again, in seconds since 1970 UTC.
    """

    provider: str | None
    skipped: Mapping[str, str]
    again_at: float | None = None


def ordered(legs: Sequence[Leg], chance: random.Random) -> list[str]:
    """Return the names of a route in the order in which one try asks them: neighbours with a weight by chance.

    Each of them is asked first with a chance of its share of the weights, and so on among those that are left: the
    order of exponential clocks (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006). So
    whichever of them are skipped, the others keep their shares.
    """
    names: list[str] = []
    for _, neighbours in groupby(legs, key=lambda leg: leg.weight is not None):
        drawn = [(0.0 if leg.weight is None else chance.expovariate(leg.weight), leg.provider) for leg in neighbours]
        names += [name for _, name in sorted(drawn, key=lambda clock: clock[0])]
    return names


def over_ceiling(ceilings: Mapping[str, int], spent: int, expected: Mapping[str, int]) -> dict[str, str]:
    """Return why providers would make a job too dear, by name; all amounts in millionths of a US dollar.

    Args:
        ceilings: what the job may cost, by provider; those without one are left out.
        spent: what its attempts have cost already.
        expected: what another attempt costs, by provider.
    """
    return {
        name: f"over its cost ceiling: {dollars(spent)} spent + {dollars(expected[name])} expected > {dollars(most)}"
        for name, most in ceilings.items()
        if spent + expected[name] > most
    }


def choose(
    route: Sequence[str],
    *,
    usable: Collection[str],
    failed: Collection[str],
    breakers: Mapping[str, Breaker],
    now: float,
    too_dear: Mapping[str, str] | None = None,
) -> Choice:
    """Choose the first provider of `route` that is on, has not failed this job's try and has its breaker closed.

    Args:
        too_dear: those that the job has no money for, with the reason.
    """
    skipped: dict[str, str] = {}
    pauses: list[float] = []
    for name in route:
        if name not in usable:
            skipped[name] = OFF
        elif name in failed:
            skipped[name] = FAILED
        elif too_dear and name in too_dear:
            skipped[name] = too_dear[name]
        elif breakers.get(name, Breaker()).open_until > now:
            skipped[name] = PAUSING
            pauses.append(breakers[name].open_until)
        else:
            return Choice(name, skipped)
    return Choice(None, skipped, min(pauses, default=None))


def nothing_left(failed: Sequence[ProviderError], choice: Choice) -> ProviderError:
    """Return what a try comes to when no provider is left: what time may mend goes before what it can't.

    Args:
        failed: what the providers of this try said, in order.
        choice: why no other one can be used.
    """
    limited = [error for error in failed if error.kind == "limited"]
    if limited:
        others = len(failed) > len(limited) or not {OFF, FAILED}.issuperset(choice.skipped.values())
        return _soonest(limited, choice.again_at, others=others)
    passing = [error for error in failed if error.kind in RETRIED]
    if passing:
        return passing[-1]
    if choice.again_at is not None:
        # Nobody was asked: waiting for a pause to end costs the job no try.
        kind: FailureKind = "transient" if failed else "limited"
        return ProviderError(kind, f"waiting for a provider that pauses: {dict(choice.skipped)}", until=choice.again_at)
    firm = [error for error in failed if not isinstance(error, UnfitError)]
    return (
        (firm or failed)[-1] if failed else ProviderError("exhausted", f"every provider is off: {dict(choice.skipped)}")
    )


def _soonest(limited: Sequence[ProviderError], again_at: float | None, *, others: bool) -> ProviderError:
    """Return the wait for whoever may be asked first; one that names no moment may be asked soon.

    Args:
        others: the route has providers that are not limited. Claims don't leave such a job out, so it must not come
            back at once, as one may for which nobody had room.
    """
    first = min(limited, key=lambda error: error.until or 0.0)
    pauses_less = first.until is not None and again_at is not None and again_at < first.until
    if not others:
        return first
    return ProviderError("limited", first.detail, until=again_at if pauses_less else first.until)
