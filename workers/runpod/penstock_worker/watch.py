"""What stands between a job under way and the world: how far it is, outwards; that it should stop, inwards.

RunPod's SDK sends every report from a thread of its own, so two that are close together may change places. Hence
the pause between reports, and none after the last step: a late one must not meet the result.
"""

import threading
import time
from collections.abc import Callable

PAUSE_S = 1.0  # between two reports
BEFORE, DURING = 0.05, 0.9  # shares of the work before the first step, and of the steps

Report = Callable[[str, float], None]


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The caller does not want the job any more."""


class Watch:
    """The watch over one job.

    Args:
        report: gets the stage, and the share of the work that is done, 0..1.
        clock: seconds, only ever growing.
    """

    def __init__(self, report: Report, clock: Callable[[], float] = time.monotonic) -> None:
        self.steps = 0
        self._report = report
        self._clock = clock
        self._stop = threading.Event()
        self._reported_at: float | None = None

    def stop(self) -> None:
        """Let the work end as soon as it can; from any thread."""
        self._stop.set()

    @property
    def stopping(self) -> bool:
        """Whether somebody wants it to stop."""
        return self._stop.is_set()

    def check(self) -> None:
        """Errors: Stopped, if somebody wants it to stop."""
        if self.stopping:
            raise Stopped

    def begin(self, stage: str) -> None:
        """Say that the work begins."""
        self._say(stage, 0.0)

    def step(self, stage: str, done: int, total: int) -> None:
        """Count a step of `total`."""
        self.steps = done
        if done < total:
            self._say(stage, BEFORE + DURING * done / total)

    def _say(self, stage: str, share: float) -> None:
        now = self._clock()
        if self.stopping or (self._reported_at is not None and now - self._reported_at < PAUSE_S):
            return
        self._reported_at = now
        self._report(stage, round(share, 3))
