"""Which provider does a job: in order, skipping what can't be used now; pure decisions over values.

A breaker stands before each provider (the circuit breaker of Nygard, "Release It!", 2007): after
`BREAKER_FAILURES` failures in a row it is skipped for `BREAKER_OPEN_S`, then one call is let through to see.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from penstock.providers.seam import FailureKind, ProviderError

BREAKER_FAILURES = 5  # in a row
BREAKER_OPEN_S = 30.0

# What another provider may mend. A refusal or the customer's own mistake would only be repeated elsewhere.
FAILS_OVER: frozenset[FailureKind] = frozenset({"transient", "limited", "exhausted", "broken"})
# What time may mend.
RETRIED: frozenset[FailureKind] = frozenset({"transient", "limited", "unknown"})
# What says something about the provider and not about the one request.
COUNTS_AGAINST: frozenset[FailureKind] = frozenset({"transient", "exhausted", "broken", "unknown"})


@dataclass(frozen=True)
class Breaker:
    """What is remembered of a provider; `open_until` in seconds since 1970 UTC."""

    failures: int = 0
    open_until: float = 0.0

    def after_failure(self, kind: FailureKind, now: float) -> "Breaker":
        """Count a failure."""
        if kind not in COUNTS_AGAINST:
            return self
        failures = self.failures + 1
        opened = now + BREAKER_OPEN_S if failures >= BREAKER_FAILURES or kind == "exhausted" else self.open_until
        return Breaker(failures, opened)

    def half_open(self, now: float) -> "Breaker":
        """Let one call through after the pause: nobody else until it is known how that went."""
        return replace(self, open_until=now + BREAKER_OPEN_S) if self.open_until > 0 else self


@dataclass(frozen=True)
class Choice:
    """A provider, or None with the reasons why each in the route can't be used; for operators.

    `again_at` is when the first of those that pause may be asked again, in seconds since 1970 UTC.
    """

    provider: str | None
    skipped: Mapping[str, str]
    again_at: float | None = None


def choose(
    route: Sequence[str],
    *,
    usable: Collection[str],
    failed: Collection[str],
    breakers: Mapping[str, Breaker],
    now: float,
) -> Choice:
    """Choose the first provider of `route` that is on, has not failed this job's try and has its breaker closed."""
    skipped: dict[str, str] = {}
    pauses: list[float] = []
    for name in route:
        if name not in usable:
            skipped[name] = "off"
        elif name in failed:
            skipped[name] = "failed in this try"
        elif breakers.get(name, Breaker()).open_until > now:
            skipped[name] = "failed repeatedly; pausing"
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
    passing = [error for error in failed if error.kind in RETRIED]
    if passing:
        return passing[-1]
    if choice.again_at is not None:
        # Nobody was asked: waiting for a pause to end costs the job no try.
        kind: FailureKind = "transient" if failed else "limited"
        return ProviderError(kind, f"waiting for a provider that pauses: {dict(choice.skipped)}", until=choice.again_at)
    return failed[-1] if failed else ProviderError("exhausted", f"every provider is off: {dict(choice.skipped)}")
