"""The one edge where errors become answers: `application/problem+json` (RFC 9457), in the product's words.

Everything that may be raised below ends here: a `Problem`, a request that does not fit its model, a path that does
not exist, a database that is gone, and bugs. What is technical goes to the log, never to the caller.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from penstock.app.field_errors import field_errors
from penstock.kit.database import DatabaseUnavailableError, TextRefusedError
from penstock.kit.errors import Action, FieldError, Problem
from penstock.media.storage import StorageError
from penstock.observability import metrics
from penstock.product.schema import Product
from penstock.product.texts import reword

MEDIA_TYPE = "application/problem+json"
UNAVAILABLE_RETRY_S = 5.0
# Types that the IETF draft on rate limits gives a meaning to; the others are ours.
_QUOTA = "https://iana.org/assignments/http-problem-types#quota-exceeded"
_REDUCED = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"
_TYPES = {"rate_limited": _QUOTA, "plan_limit": _QUOTA, "busy": _REDUCED}
MAX_FIELDS_IN_DETAIL = 5
MAX_BODY_BYTES = 1_000_000  # of a request that is no upload

log: Any = structlog.get_logger()


class ProblemResponse(JSONResponse):
    """An answer that says what went wrong."""

    media_type = MEDIA_TYPE


def type_of(code: str) -> str:
    """Return the URI that names a kind of problem."""
    return _TYPES.get(code, f"urn:penstock:problem:{code}")


def respond(problem: Problem, product: Product) -> ProblemResponse:
    """Return the answer that tells a problem, in the words of `product`."""
    told = reword(problem, product)
    body: dict[str, Any] = {
        "type": type_of(told.code),
        "title": told.title,
        "status": told.status,
        "code": told.code,
        "detail": told.detail,
    }
    headers = {"Cache-Control": "no-store"}
    if told.retry_after_s is not None:
        body["retry_after_s"] = round(told.retry_after_s, 3)
        headers["Retry-After"] = str(max(1, math.ceil(told.retry_after_s)))
    if told.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="penstock"'
    if told.actions:
        body["actions"] = [_action(action) for action in told.actions]
    if told.errors:
        body["errors"] = [asdict(error) for error in told.errors]
    metrics.PROBLEMS.labels(told.code).inc()
    return ProblemResponse(body, told.status, headers)


def install(app: FastAPI, product: Callable[[], Product], methods_at: Callable[[str], Sequence[str]]) -> None:
    """Answer everything that endpoints raise.

    Args:
        product: gives the product that holds now.
        methods_at: gives the methods that a path takes; the framework tells those of the first route only.
    """

    async def answer(request: Request, error: Exception) -> ProblemResponse:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error = HTTPException(405, headers={"Allow": ", ".join(methods_at(request.url.path))})
        return _answer(error, product())

    ours = (Problem, DatabaseUnavailableError, TextRefusedError, StorageError)
    for kind in (*ours, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)


def problem_for(error: Exception) -> Problem:
    """Return what a caller is told of an error; logs what they are not told."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(field_errors(error.errors()))
    if isinstance(error, HTTPException):
        return _refused(error)
    if isinstance(error, DatabaseUnavailableError | StorageError):
        log.error("request.unavailable", error=str(error))
        return Problem(
            "unavailable",
            "We can't reach our own data at the moment. Nothing was lost; please try again shortly.",
            actions=[Action("wait", "Try again")],
            retry_after_s=UNAVAILABLE_RETRY_S,
        )
    if isinstance(error, TextRefusedError):
        return Problem("invalid_input", "What was sent has the character U+0000 in it. Take it out.")
    log.error("request.crashed", exc_info=error)
    metrics.CRASHES.inc()
    return Problem(
        "internal",
        "Something went wrong on our side. We have been told; please try again in a moment.",
        actions=[Action("wait", "Try again")],
    )


def _answer(error: Exception, product: Product) -> ProblemResponse:
    response = respond(problem_for(error), product)
    if isinstance(error, HTTPException) and error.headers:
        response.headers.update(error.headers)
    return response


class CatchAll:
    """ASGI middleware for what no handler took: bugs, and problems of other middleware."""

    def __init__(self, app: ASGIApp, product: Callable[[], Product]) -> None:
        self._app, self._product = app, product

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; answer in its place if it raises before it has begun to answer."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] in {"http.response.start", "websocket.accept", "websocket.close"}
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - the last one that can answer
            answer = _answer(error, self._product())
            if scope["type"] == "http" and not started:
                await answer(scope, receive, send)
            elif scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1011, "reason": "Something went wrong on our side."})
            # An answer that had begun is cut off: the server closes the connection.


def _invalid(errors: Sequence[FieldError]) -> Problem:
    sentences = [f"{error.field}: {error.message}" if error.field else error.message for error in errors]
    shown = " ".join(sentences[:MAX_FIELDS_IN_DETAIL])
    return Problem("invalid_input", shown or "Something in the request does not fit.", errors=errors)


def _refused(error: HTTPException) -> Problem:
    """Return the problem for what the framework refused by itself."""
    status = error.status_code
    if status == 413:
        return too_large()
    if status == 405:
        allowed = {name.lower(): value for name, value in (error.headers or {}).items()}.get("allow", "other methods")
        return Problem("method_not_allowed", f"This address takes {allowed}.")
    if status >= 500:
        return Problem("unavailable", "This is not available right now.", retry_after_s=UNAVAILABLE_RETRY_S)
    code, detail = _REFUSALS.get(status, ("forbidden", "This is not allowed."))
    return Problem(code, detail)


_REFUSALS = {
    400: ("invalid_input", "The body of this request can't be read. Send JSON in UTF-8."),
    404: ("not_found", "There is nothing at this address."),
    415: ("unsupported_media", "Send the body as application/json."),
    422: ("invalid_input", "The body of this request can't be read. Send JSON in UTF-8."),
}


def too_large() -> Problem:
    """Return the problem for a body over the limit of everything that is no upload."""
    return Problem("too_large", f"The body of a request has {MAX_BODY_BYTES:,} bytes at most. Send less at once.")


def _action(action: Action) -> dict[str, str]:
    return {key: value for key, value in asdict(action).items() if value is not None}
