"""The cookies of the web app: session (access token), refresh token, visitor, and the way to an OpenID provider.

Over https names carry a prefix that browsers enforce: `__Host-` for the session, so that no subdomain can plant one;
`__Secure-` for the refresh token, because `__Host-` forbids the narrow path that keeps it out of every other request.
On http (development) names are plain, and `Secure` is left out. The visitor's cookie has one name everywhere.

`__session` is Clerk's own, which is only read here.

The session's cookie outlives the access token in it: an expired token must arrive and be answered `unauthenticated`,
so that the page refreshes it; without a cookie the customer would be taken for a new visitor.

`SetCookies` adds what was decided during a request to its answer, whatever kind of answer that is, problems included.
"""

from typing import Literal

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Cookie = Literal["session", "refresh", "visitor", "sign_in", "clerk", "origin"]

AUTH_PATH = "/api/v1/auth"
VISITOR_TTL_S = 400 * 86_400  # browsers keep no cookie for longer

_SCOPE_KEY = "penstock.set_cookies"
_PLAIN_NAMES: dict[Cookie, str] = {
    "session": "penstock_session",
    "refresh": "penstock_refresh",
    "visitor": "penstock_visitor",
    "sign_in": "penstock_sign_in",
    "clerk": "__session",
    "origin": "penstock_origin",
}
_SECURE_NAMES: dict[Cookie, str] = {
    "session": "__Host-penstock_session",
    "refresh": "__Secure-penstock_refresh",
    "visitor": "penstock_visitor",
    "sign_in": "__Secure-penstock_sign_in",
    "clerk": "__session",
    "origin": "penstock_origin",
}
_PATHS: dict[Cookie, str] = {
    "session": "/",
    "refresh": AUTH_PATH,
    "visitor": "/",
    "sign_in": AUTH_PATH,
    "clerk": "/",
    "origin": "/",
}


def read(connection: HTTPConnection, cookie: Cookie) -> str | None:
    """Return a cookie's value, or None.

    Read strictly: a lenient parser takes a name with odd white space around it for the name itself, and so undoes
    what the `__Host-` prefix is for.
    """
    name = _name(connection, cookie)
    for header in connection.headers.getlist("cookie"):
        for pair in header.split(";"):
            key, equals, value = pair.strip(" \t").partition("=")
            if equals and key == name and value:
                return value
    return None


def put(connection: HTTPConnection, cookie: Cookie, value: str, max_age_s: float) -> None:
    """Set a cookie with the answer to this request."""
    secure = "; Secure" if _is_secure(connection) else ""
    name = _name(connection, cookie)
    _pending(connection)[name] = (
        f"{name}={value}; Path={_PATHS[cookie]}; Max-Age={int(max_age_s)}; HttpOnly; SameSite=Lax{secure}"
    )


def drop(connection: HTTPConnection, *cookies: Cookie) -> None:
    """Delete cookies with the answer to this request."""
    for cookie in cookies:
        put(connection, cookie, "", 0)


def visitor_registered(connection: HTTPConnection) -> None:
    """Note with the answer that this browser's visitor has become an account: there is no such visitor any more.

    The note is what keeps the next account from the same browser from getting the free month again. It says nothing
    about whose account that was, and forging it gains nothing.
    """
    drop(connection, "visitor")
    put(connection, "origin", "registered", VISITOR_TTL_S)


class SetCookies:
    """ASGI middleware that writes what `put` and `drop` asked for; such answers are never cached."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and complete its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        pending: dict[str, str] = {}
        scope[_SCOPE_KEY] = pending

        async def complete(message: Message) -> None:
            if message["type"] == "http.response.start" and pending:
                headers = MutableHeaders(scope=message)
                for line in pending.values():
                    headers.append("set-cookie", line)
                headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, complete)


def _pending(connection: HTTPConnection) -> dict[str, str]:
    pending: dict[str, str] | None = connection.scope.get(_SCOPE_KEY)
    if pending is None:
        raise RuntimeError("cookies can't be set: the app lacks the middleware penstock.accounts.cookies.SetCookies")
    return pending


def _name(connection: HTTPConnection, cookie: Cookie) -> str:
    return (_SECURE_NAMES if _is_secure(connection) else _PLAIN_NAMES)[cookie]


def _is_secure(connection: HTTPConnection) -> bool:
    return connection.scope["scheme"] in {"https", "wss"}
