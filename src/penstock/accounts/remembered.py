"""Who showed a credential a moment ago, so that a page's burst of requests costs one read.

What is remembered is good for `REMEMBER_S`: that long may a session, key or role that was ended in another process
still hold. In this process the end counts at once: `forget` also keeps a read that began before it from being kept.
"""

from collections import OrderedDict
from dataclasses import dataclass

from penstock.kit.caller import Caller
from penstock.kit.clock import Clock

REMEMBER_S = 5
MAX_REMEMBERED = 4_096  # credentials


@dataclass(frozen=True)
class Known:
    """What the database said about a credential; `key_id` and `key_used_at` are set for an API key."""

    caller: Caller
    block_reason: str | None
    blocked_until: float | None
    key_id: str | None = None
    key_used_at: float | None = None


class Remembered:
    """A bounded, short memory; for one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Known]] = OrderedDict()  # oldest first
        self._epoch = 0

    @property
    def epoch(self) -> int:
        """Grows with every `forget`; take it before a read and give it to `keep`."""
        return self._epoch

    def get(self, credential: str) -> Known | None:
        """Return what is known, if it is fresh."""
        at, known = self._known.get(credential, (float("-inf"), None))
        return known if 0 <= self._clock.now() - at < REMEMBER_S else None

    def keep(self, credential: str, known: Known, epoch: int) -> None:
        """Remember what a read that began in `epoch` found."""
        if epoch != self._epoch:
            return
        self._known.pop(credential, None)
        self._known[credential] = (self._clock.now(), known)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    def forget(self, account_id: str) -> None:
        """Forget every credential of an account."""
        self._epoch += 1
        theirs = [key for key, (_, known) in self._known.items() if known.caller.account_id == account_id]
        for credential in theirs:
            del self._known[credential]
