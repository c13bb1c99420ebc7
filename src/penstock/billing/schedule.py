"""Which credits a payment for a plan brings, and when: a pure function of its lines.

A month's line brings one month of credits. A year's line brings twelve, one at the beginning of each month, so that
what is lost with a subscription is never more than what was there. A change of plan in the middle of a period has two
lines, the old plan given back and the new one paid: the difference is what it brings, in proportion to the part of the
period that was paid (the provider's own proration), rounded down.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from penstock.billing.calendar import month_after
from penstock.billing.payments import Line

DAY_S = 86_400
SHORT_S = 32 * DAY_S  # a stretch that is at most one month
MEAN_MONTH_S = 30.436875 * DAY_S
MAX_MONTHS = 36  # of one line: what providers sell at most


@dataclass(frozen=True)
class Portion:
    """Credits of one month of a payment; `due_at` is when they come, `until` when their month is over."""

    source: str
    due_at: float
    until: float
    credits: int


def portions(lines: Sequence[Line]) -> tuple[Portion, ...]:
    """Return what a payment's lines bring, in order; nothing for one that gives more back than it takes.

    `source` is the id of the line that was paid, and from the second month on its number behind that.
    """
    shares: dict[float, Fraction] = {}
    ends: dict[float, float] = {}
    sources: dict[float, str] = {}
    for line in sorted(lines, key=lambda line: (line.start, -line.sign, line.id)):
        for number, (start, end, share) in enumerate(_months(line)):
            shares[start] = shares.get(start, Fraction(0)) + line.sign * share * line.credits_month
            ends[start] = max(ends.get(start, 0.0), end)
            if line.sign > 0:
                sources.setdefault(start, line.id if number == 0 else f"{line.id}/{number}")
    whole = ((start, int(shares[start])) for start in sorted(shares) if start in sources)
    return tuple(Portion(sources[start], start, ends[start], brings) for start, brings in whole if brings > 0)


def last_line(lines: Iterable[Line]) -> Line | None:
    """Return the paid line that reaches furthest: its plan is what a customer has."""
    paid = [line for line in lines if line.sign > 0]
    return max(paid, key=lambda line: (line.end, line.start, line.id), default=None)


def _months(line: Line) -> Iterator[tuple[float, float, Fraction]]:
    """Yield (start, end, share of a month's credits) for each month of a line."""
    if line.end <= line.start:
        return
    if line.prorated and line.end - line.start <= SHORT_S:
        yield line.start, line.end, _share(line)
        return
    whole = max(1, min(MAX_MONTHS, round((line.end - line.start) / MEAN_MONTH_S)))
    if not line.prorated:
        for number in range(whole):
            end = line.end if number == whole - 1 else month_after(line.start, number + 1)
            yield month_after(line.start, number), end, Fraction(1)
        return
    start, number = line.start, 0
    while start < line.end and number < MAX_MONTHS:
        number += 1
        end = month_after(line.start, number)
        yield start, min(end, line.end), Fraction(min(end, line.end) - start) / Fraction(end - start)
        start = end


def _share(line: Line) -> Fraction:
    """Return the part of a month that a short stretch is: by its price where that is known, else by its length."""
    if line.fraction is not None:
        return Fraction(line.fraction).limit_denominator(1_000_000)
    return min(Fraction(1), Fraction(line.end - line.start) / Fraction(line.end - month_after(line.end, -1)))
