"""Identifiers: opaque strings with a type prefix, sortable by time, unguessable.

Eleven characters of time (microseconds) make index inserts land at the end; sixteen random ones (80 bits)
keep ids from being guessed. Only digits and lower-case letters, so that they survive any address bar.
"""

import secrets
import time

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_TIME_CHARACTERS = 11
_RANDOM_CHARACTERS = 16


def _base36(value: int, width: int) -> str:
    digits = []
    for _ in range(width):
        value, digit = divmod(value, 36)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def first_id_at(prefix: str, at: float) -> str:
    """Return what goes before every id made from the moment `at` on, in seconds since 1970 UTC."""
    return f"{prefix}_{_base36(int(at * 1_000_000), _TIME_CHARACTERS)}"


def new_id(prefix: str) -> str:
    """Return a fresh id such as `job_0h3kz…`; `prefix` names the type without the underscore."""
    at = _base36(time.time_ns() // 1000, _TIME_CHARACTERS)
    return f"{prefix}_{at}{_base36(secrets.randbits(80), _RANDOM_CHARACTERS)}"
