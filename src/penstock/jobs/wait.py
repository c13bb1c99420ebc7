"""How long a job will wait: a prediction from what stands before it, and a range from how earlier ones came true. Pure.

What stands before a job is the longest of three: the queue (which others still join ahead of it, for a better plan
starts ahead), the customer's own jobs at the plan's limit, and the room at the providers of its route. The range is
made of earlier jobs with about the same prediction (conformal prediction with weights for nearness; Lei and Wasserman,
"Distribution-free prediction bands", 2014): eight of ten came true within it.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOW, HIGH = 0.1, 0.9  # shares of the jobs that start before the two ends of the range
NEAREST = 100  # earlier jobs that a range is learnt from
FAR = math.log(4)  # a prediction so many times as long, or as short, says nothing
CHANGE = 0.02  # how much the next minutes differ from the last ones, as a share of a long wait
NOISE = 3.0  # how much the jobs before it differ, as a share of one turn, squared: durations, and who comes ahead
USUAL = (-1.96, -1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28, 1.96)  # scores: of a normal distribution
USUAL_WEIGHT = 3.0  # how many independent waits they stand for


@dataclass(frozen=True)
class Line:
    """What stands before a job that is about to be queued, or is.

    Args:
        ahead: queued jobs of a lower rank.
        running: jobs under way.
        slots: jobs that all workers run at one time.
        duration_s: seconds that a job takes.
        own_ahead: the customer's jobs that start before or are under way, and `own_limit` how many may be at one time.
        overtaking: of each plan, how many jobs a second come and for how many more seconds they will go ahead.
        provider_s: seconds until the providers of its route have room for it.
    """

    ahead: int
    running: int
    slots: int
    duration_s: float
    own_ahead: int = 0
    own_limit: int = 1
    overtaking: Sequence[tuple[float, float]] = ()
    provider_s: float = 0.0

    @property
    def turn_s(self) -> float:
        """Seconds between two starts."""
        return self.duration_s / self.slots


def predicted_wait(line: Line) -> float:
    """Return the seconds until a job starts."""
    before = line.ahead + line.running + 1 - line.slots
    queue_s = _overtaken(before, 1 / line.turn_s, line.overtaking) if before > 0 else 0.0
    own_s = max(0, line.own_ahead + 1 - line.own_limit) * line.duration_s / line.own_limit
    return max(queue_s, own_s, line.provider_s)


def _overtaken(before: int, pace: float, overtaking: Sequence[tuple[float, float]]) -> float:
    """Return the smallest wait in which `before` jobs start and everybody who comes meanwhile and goes ahead.

    It solves `wait * pace = before + sum(coming * min(wait, until))`, which is linear between two of the `until`.
    """
    joined, joining = float(before), sum(coming for coming, _ in overtaking)
    for coming, until_s in sorted(overtaking, key=lambda each: each[1]):
        if pace > joining and joined / (pace - joining) <= until_s:
            return joined / (pace - joining)
        joined += coming * until_s
        joining -= coming
    return joined / pace


@dataclass(frozen=True)
class Seen:
    """How a prediction came true: seconds predicted and waited, and when the job started."""

    predicted_s: float
    waited_s: float
    at: float


class Record:
    """How earlier predictions came true.

    A wait is compared with its prediction in units of what the prediction can't know: durations of the jobs before it
    (less, the more there are), and how the next minutes differ from the last ones. Jobs that waited long at the same
    time were right or wrong together, so they count as few: as often as their wait fits into the time they cover. The
    fewer there are, the more counts what is usual (`USUAL`).

    Args:
        turn_s: seconds between two starts.
    """

    def __init__(self, seen: Iterable[Seen] = (), turn_s: float = 1.0) -> None:
        self._turn_s = turn_s
        self._seen = sorted(seen, key=lambda each: each.predicted_s)
        self._predicted = [each.predicted_s for each in self._seen]

    def range(self, predicted_s: float) -> tuple[float, float]:
        """Return the seconds after which 10 % and 90 % of jobs with this prediction have started."""
        near = self._near(predicted_s)
        weighed = [(score, USUAL_WEIGHT / len(USUAL)) for score in USUAL]
        if near:
            covered_s = max(each.at for each in near) - min(each.at for each in near)
            weight = min(1.0, (1 + covered_s / (predicted_s + self._turn_s)) / len(near))
            weighed += [(self._score(each), weight) for each in near]
        low, high = (quantile(weighed, share) for share in (LOW, HIGH))
        return self._wait(predicted_s, low), self._wait(predicted_s, high)

    def _near(self, predicted_s: float) -> Sequence[Seen]:
        """Return the jobs whose prediction was nearest, of those that can be compared at all."""
        at = bisect_left(self._predicted, predicted_s)
        nearest = self._seen[max(0, at - NEAREST // 2) : at + NEAREST // 2]
        return [each for each in nearest if abs(math.log(self._ratio(each.predicted_s, predicted_s))) < FAR]

    def _score(self, seen: Seen) -> float:
        return math.log(self._ratio(seen.waited_s, seen.predicted_s)) / self._unit(seen.predicted_s)

    def _wait(self, predicted_s: float, score: float) -> float:
        ratio = math.exp(score * self._unit(predicted_s))
        return max(0.0, (predicted_s + self._turn_s) * ratio - self._turn_s)

    def _ratio(self, one: float, other: float) -> float:
        return (one + self._turn_s) / (other + self._turn_s)

    def _unit(self, predicted_s: float) -> float:
        return math.sqrt(CHANGE**2 + NOISE * self._turn_s / (predicted_s + self._turn_s))


def quantile(weighed: Iterable[tuple[float, float]], share: float) -> float:
    """Return the smallest value at which `share` of the whole weight is reached; `weighed` are values and weights."""
    ordered = sorted(weighed)
    wanted = share * sum(weight for _, weight in ordered)
    for value, weight in ordered:
        wanted -= weight
        if wanted <= 0:
            return value
    return ordered[-1][0]
