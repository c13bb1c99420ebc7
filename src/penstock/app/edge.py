"""The outermost middleware, pure ASGI: what every answer carries, how long it took, and how much may come in.

Edge (request id, security headers, log line, metrics) -> CatchAll -> BodyLimit -> ... -> FastAPI
"""

import re
import time
from collections.abc import Mapping
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.app.problems import MAX_BODY_BYTES, too_large
from penstock.kit import extra_headers
from penstock.kit.ids import new_id
from penstock.observability import metrics

API = "/api/"
PREFIX = "/api/v1"
# What takes pictures, and what is sent results of any size but never reads them.
_UNLIMITED = re.compile(rf"{PREFIX}/(uploads(/[^/]+/content)?|webhooks/runpod)")
QUIET = frozenset({f"{PREFIX}/health", "/metrics"})  # asked all the time; logged only when something is wrong
HSTS_S = 31_536_000
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def content_security_policy(bucket: str = "") -> str:
    """Return what pages may load and reach.

    Args:
        bucket: where files lie, if that is not here: pictures come from there and uploads go there.
    """
    files = f" {bucket}" if bucket else ""
    return "; ".join(
        (
            "default-src 'self'",
            f"img-src 'self' blob: data:{files}",
            f"media-src 'self'{files}",
            f"connect-src 'self'{files}",
            "style-src 'self'",
            "script-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            f"form-action 'self'{files}",
        )
    )


SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

log: Any = structlog.get_logger("penstock.http")


class Edge:
    """Names each request, dresses each answer, and tells operators of both.

    Args:
        policy: the content security policy of every answer that has none of its own.
    """

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self._app, self._policy = app, policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await (self._http if scope["type"] == "http" else self._websocket)(scope, receive, send, request_id)
            finally:
                structlog.contextvars.unbind_contextvars("account_id")

    async def _http(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        extra = extra_headers.prepare(scope)
        seen = _Seen()

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen.note(message)
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", self._policy)
                _dress(scope, headers, {"X-Request-Id": request_id, **extra})
            await send(message)

        started = time.perf_counter()
        metrics.REQUESTS_IN_FLIGHT.inc()
        try:
            await self._app(scope, receive, dressed)
        finally:
            metrics.REQUESTS_IN_FLIGHT.dec()
            _report(scope, seen, time.perf_counter() - started)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "websocket.accept":
                message.setdefault("headers", [])
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        await self._app(scope, receive, named)


class BodyLimit:
    """Refuses bodies over `MAX_BODY_BYTES`, by what is declared or else by what comes; uploads have their own limit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or _UNLIMITED.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise too_large()
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413)  # the one error that FastAPI passes on while it reads a body
            return message

        await self._app(scope, counted, send)


class _Seen:
    """What an answer began with."""

    def __init__(self) -> None:
        self.status = 0
        self.streams = False

    def note(self, message: Message) -> None:
        self.status = message["status"]
        self.streams = Headers(raw=message["headers"]).get("content-type", "").startswith("text/event-stream")


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new_id("req")


def _dress(scope: Scope, headers: MutableHeaders, own: Mapping[str, str]) -> None:
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if scope["scheme"] == "https":
        headers.setdefault("Strict-Transport-Security", f"max-age={HSTS_S}")
    if scope["path"].startswith(API):
        headers.setdefault("Cache-Control", "no-store")
    for name, value in own.items():
        headers[name] = value


def _report(scope: Scope, seen: _Seen, duration_s: float) -> None:
    path = scope["path"]
    route = _route(scope)
    if not seen.streams:
        status = f"{seen.status // 100}xx" if seen.status else "lost"
        metrics.REQUESTS.labels(scope["method"], route, status).observe(duration_s)
    wrong = seen.status >= 500
    if path in QUIET and not wrong:
        return
    tell = log.warning if wrong else log.info if path.startswith(API) else log.debug
    tell(
        "http.request",
        method=scope["method"],
        route=route,
        status=seen.status or None,
        duration_ms=round(duration_s * 1000, 1),
    )


def _route(scope: Scope) -> str:
    """Return the template of the path: a label must not hold ids."""
    template = getattr(scope.get("route"), "path", None)
    if template is None:
        return "unknown" if scope["path"].startswith(API) else "pages"
    inner = scope["path"].startswith(PREFIX) and not template.startswith(PREFIX)  # a router's own templates
    return f"{PREFIX}{template}" if inner else str(template)
