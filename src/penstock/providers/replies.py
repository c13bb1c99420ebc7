"""What a vendor's refusal to work means, as far as all vendors agree: from status and headers to a kind of failure.

Pure. Each adapter asks its own vendor's words first and comes here with the rest.
"""

import math
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from penstock.providers.http import MAX_SHOWN_CHARACTERS, Reply, shortened
from penstock.providers.seam import FailureKind, ProviderError

FULL_S = 5.0  # the longest pause after a good answer with which a limit was used up
MAX_PAUSE_S = 3_600.0  # the longest pause that a vendor is granted: a slip of theirs must not stop us for a year

# A gateway in front of the vendor gave up: the vendor itself may have done the work all the same.
_GATEWAY_GAVE_UP = frozenset({502, 504, 520, 522, 524})
_KINDS: dict[int, FailureKind] = {
    400: "broken",
    401: "broken",
    402: "exhausted",
    403: "broken",
    404: "broken",
    408: "transient",
    409: "transient",
    413: "invalid",
    422: "invalid",
    429: "limited",
}
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|h|m|s)")
_UNIT_S = {"h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}


def failure(reply: Reply, now: float, *, kind: FailureKind | None = None, until: float | None = None) -> ProviderError:
    """Return what an answer that is no success means.

    Args:
        now: seconds since 1970 UTC.
        kind: what the vendor's own words say it is; otherwise the status decides.
        until: when to ask again, as the vendor's own words say; otherwise the headers do.
    """
    kind = kind or kind_of(reply)
    if kind == "limited":
        until = pause_until(reply, now) if until is None else capped(until, now)
    return ProviderError(kind, f"HTTP {reply.status}: {message_of(reply)}", until=until)


def kind_of(reply: Reply) -> FailureKind:
    """Return the kind of failure that a status stands for."""
    if reply.status in _GATEWAY_GAVE_UP and reply.document() is None:
        return "unknown"
    if reply.status >= 500:
        return "transient"
    return _KINDS.get(reply.status, "broken")


def message_of(reply: Reply) -> str:
    """Return what the vendor says, in whatever shape, for operators."""
    document = reply.document()
    if document is None:
        return reply.said() or "nothing more was said"
    error = document.get("error", document)
    for name in ("message", "detail", "error", "errors", "name", "title"):
        said = error.get(name) if isinstance(error, dict) else error
        if isinstance(said, list):
            said = "; ".join(str(each) for each in said[:3])
        if isinstance(said, str) and said:
            return shortened(said)
    return shortened(str(error)[: 2 * MAX_SHOWN_CHARACTERS])


def pause_until(reply: Reply, now: float) -> float | None:
    """Return until when the headers ask us to wait, in seconds since 1970 UTC; None if they don't say."""
    headers = reply.headers
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return capped(now + milliseconds / 1_000, now)
    after = headers.get("retry-after")
    if after is not None:
        seconds = _number(after)
        at = _http_date(after) if seconds is None else now + seconds
        if at is not None:
            return capped(at, now)
    resets = _resets(headers, now)
    return capped(max(resets), now) if resets else None


def full_until(reply: Reply, now: float) -> float | None:
    """Return until when the headers of a good answer say that a limit is used up; None where something is left.

    What they name is the moment at which all of it is free again; some is long before. So the pause is short, and the
    next request finds out.
    """
    resets = _resets(reply.headers, now)
    return min(capped(max(resets), now), now + FULL_S) if resets else None


def span(written: str) -> float | None:
    """Return the seconds of a span such as `34s`, `6m0s` or `120ms`; None for anything else."""
    parts = _SPAN.findall(written)
    if not parts or "".join(number + unit for number, unit in parts) != written.strip():
        return None
    return sum(float(number) * _UNIT_S[unit] for number, unit in parts)


def capped(until: float, now: float) -> float:
    """Return a moment that is neither past nor too far away."""
    return min(max(until, now), now + MAX_PAUSE_S)


def _resets(headers: Any, now: float) -> list[float]:
    return [at for name in headers if (at := _reset(name, headers, now)) is not None]


def _reset(name: str, headers: Any, now: float) -> float | None:
    """Return when a limit that is used up is free again; `x-ratelimit-reset-KIND` or `PREFIX-ratelimit-KIND-reset`."""
    if name.startswith("x-ratelimit-reset-"):
        left, seconds = headers.get(name.replace("-reset-", "-remaining-")), span(headers[name])
        at = None if seconds is None else now + seconds
    elif "-ratelimit-" in name and name.endswith("-reset"):
        left, at = headers.get(f"{name.removesuffix('reset')}remaining"), _rfc3339(headers[name])
    else:
        return None
    return at if _number(left) == 0 else None


def _number(written: str | None) -> float | None:
    try:
        value = float(written or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _http_date(written: str) -> float | None:
    try:
        at = parsedate_to_datetime(written)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _rfc3339(written: str) -> float | None:
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
