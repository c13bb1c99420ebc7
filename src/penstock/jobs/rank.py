"""A job's place in the queue as one number, and the pause before a retry. Pure.

Rank is the moment at which it would be the job's turn: a static key, so nothing is ever re-sorted and, since time
passes and ranks stay, nothing starves. It is linear ageing written once (compare "start-time fair queueing", Goyal,
Vin and Cheng, 1996, for the spacing inside one customer).
"""

import random

BACKOFF_BASE_S = 2.0
BACKOFF_CAP_S = 120.0


def rank(now: float, last_queued: float | None, head_start_s: float, spacing_s: float) -> float:
    """Return a new job's rank in seconds since 1970 UTC; lower goes first.

    Args:
        last_queued: the highest rank of this customer's jobs that have not started; None without any.
        head_start_s: seconds that the plan goes ahead.
        spacing_s: seconds between the turns of one customer's jobs.
    """
    first = now - head_start_s
    return first if last_queued is None else max(first, last_queued + spacing_s)


def backoff(attempt: int, chance: random.Random) -> float:
    """Return the seconds to wait before trying again: exponential with full jitter (Brooker, AWS, 2015).

    Args:
        attempt: 1 after the first failure.
    """
    return chance.uniform(0, min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2 ** (attempt - 1)))
