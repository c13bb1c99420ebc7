"""Hints between processes: a word that there is something to look at, told to whoever wants to hear it.

A hint carries no content and may be lost: the database has the truth, and whoever listens also looks by itself from
time to time. So nothing here is retried, stored or answered; it only makes things quick. `LocalHints` is one process;
`shared_hints.SharedHints` is many.
"""

from collections.abc import Callable
from typing import Protocol

import structlog

Call = Callable[[str | None], None]
"""Called with what a hint is about; with None where hints may have been lost: then it may be about anything."""

log = structlog.get_logger()


class Hints(Protocol):
    """What everybody who tells or hears hints knows of them."""

    @property
    def trouble(self) -> str | None:
        """Why other processes are not heard at the moment, for operators; None while all is well."""
        ...

    def tell(self, topic: str, about: str = "") -> None:
        """Tell every process, this one at once and the others soon; never waits and never fails.

        Args:
            topic: a word without spaces.
            about: an id or nothing; without line breaks.
        """
        ...

    def hear(self, topic: str, call: Call) -> None:
        """Call `call` on the event loop for every hint of a topic, wherever it was told."""
        ...


class LocalHints:
    """Hints for one process and one event loop."""

    trouble: str | None = None

    def __init__(self) -> None:
        """Start with nobody listening."""
        self._calls: dict[str, list[Call]] = {}

    def hear(self, topic: str, call: Call) -> None:
        """Call `call` for every hint of a topic. See `Hints.hear`."""
        self._calls.setdefault(topic, []).append(call)

    def tell(self, topic: str, about: str = "") -> None:
        """Tell everybody here. See `Hints.tell`."""
        self.pass_on(topic, about)

    def pass_on(self, topic: str, about: str | None) -> None:
        """Tell everybody in this process, and nobody else."""
        for call in self._calls.get(topic, ()):
            try:
                call(about)
            except Exception:
                log.exception("hint.failed", topic=topic)

    def wake_everybody(self) -> None:
        """Let everybody here look at everything: hints may have been lost."""
        for topic in self._calls:
            self.pass_on(topic, None)
