"""Headers that belong to the answer of a request whatever that turns out to be: a result or a problem.

An endpoint or a dependency adds them while it works; the outermost middleware of the app puts them on the answer. A
`Response` parameter would not do: what is set there is lost when the endpoint raises.
"""

from collections.abc import Mapping

from starlette.requests import HTTPConnection
from starlette.types import Scope

_SCOPE_KEY = "penstock.extra_headers"
_LISTS = frozenset({"RateLimit", "RateLimit-Policy"})  # several limits, several parts of the app that keep them


def prepare(scope: Scope) -> dict[str, str]:
    """Give a request its (empty) set of extra headers; for the middleware that sends them."""
    headers: dict[str, str] = {}
    scope[_SCOPE_KEY] = headers
    return headers


def add(connection: HTTPConnection, headers: Mapping[str, str]) -> None:
    """Put `headers` on the answer to this request; a name that is there already is replaced, a list goes on."""
    waiting: dict[str, str] = connection.scope.get(_SCOPE_KEY, {})
    for name, value in headers.items():
        known = waiting.get(name) if name in _LISTS else None
        waiting[name] = value if known is None else f"{known}, {value}"
