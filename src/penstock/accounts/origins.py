"""Cross-site requests: a cookie travels by itself, so an unsafe request that rides on one must come from our pages.

Browsers say where a request comes from in `Sec-Fetch-Site` (https and localhost) and `Origin`; a page can forge
neither. Calls with a bearer token need no such proof: no browser adds one by itself.
"""

from collections.abc import Set as AbstractSet

from starlette.requests import HTTPConnection

from penstock.accounts.errors import cross_site

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITES = frozenset({"same-origin", "none"})


def is_unsafe(connection: HTTPConnection) -> bool:
    """Say whether a request may change something; a WebSocket may."""
    return connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE_METHODS


def refuse_foreign(connection: HTTPConnection, origins: AbstractSet[str]) -> None:
    """Refuse a request that rides on a cookie and can't prove that it comes from our own pages.

    Errors: `forbidden`.
    """
    if connection.headers.get("sec-fetch-site") not in _OWN_SITES and not _known_origin(connection, origins):
        raise cross_site()


def refuse_cross_site(connection: HTTPConnection, origins: AbstractSet[str]) -> None:
    """Refuse a request that a browser says comes from another site; programs, which say nothing, pass.

    For calls that set cookies without needing any: another site's page must not sign somebody in as somebody else.

    Errors: `forbidden`.
    """
    if is_cross_site(connection, origins):
        raise cross_site()


def is_cross_site(connection: HTTPConnection, origins: AbstractSet[str]) -> bool:
    """Say whether a browser says that a request comes from a page that is not ours."""
    site = connection.headers.get("sec-fetch-site")
    if site in _OWN_SITES or _known_origin(connection, origins):
        return False
    return site is not None or "origin" in connection.headers


def _known_origin(connection: HTTPConnection, origins: AbstractSet[str]) -> bool:
    origin = connection.headers.get("origin")
    return origin is not None and (origin in origins or origin == _own_origin(connection))


def _own_origin(connection: HTTPConnection) -> str:
    scheme = {"ws": "http", "wss": "https"}.get(connection.url.scheme, connection.url.scheme)
    return f"{scheme}://{connection.url.netloc}"
