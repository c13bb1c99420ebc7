"""Spans of time in words, for sentences that a customer reads."""

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_NEXT_UNIT_FROM = 2  # `90 minutes` says more than `2 hours`: a unit is used from two of it on


def in_words(seconds: float) -> str:
    """Return a span such as `40 seconds`, `12 minutes` or `3 hours`, rounded up; at least one second."""
    for name, size in _UNITS:
        if seconds >= _NEXT_UNIT_FROM * size or size == 1:
            count = max(1, -int(-seconds // size))
            return f"{count} {name}" if count == 1 else f"{count} {name}s"
    raise AssertionError("the smallest unit is always used")
