"""Who makes a request, as every endpoint sees it; the app plugs in how that is found out.

`app.state.identify(connection)` answers who calls, and `app.state.welcome(connection)`, where the product has it,
opens an anonymous account for a call that needs one and came without credentials. `penstock.accounts` provides both.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from penstock.kit.errors import Action, Problem

Role = Literal["customer", "support", "admin"]
Credential = Literal["session", "api_key", "visitor"]
ALL_SCOPES = frozenset({"read", "write"})


@dataclass(frozen=True)
class Caller:
    """An account that makes a request.

    `scopes` limits an API key: `read` for GET, `write` for the rest; a session has both. `visitor` is true for an
    anonymous account. `credential` tells how the caller proved who it is.
    """

    account_id: str
    plan: str
    role: Role = "customer"
    visitor: bool = False
    email: str | None = None
    scopes: frozenset[str] = ALL_SCOPES
    credential: Credential = "session"


async def current_caller(connection: HTTPConnection) -> Caller | None:
    """Return who calls, or None for a call without credentials.

    Errors: `unauthenticated` for credentials that don't hold, `blocked`, `forbidden` for a missing scope or a
    cross-site request that rides on a cookie.
    """
    caller: Caller | None = await connection.app.state.identify(connection)
    return caller


async def require_caller(
    connection: HTTPConnection, caller: Annotated[Caller | None, Depends(current_caller)]
) -> Caller:
    """Return who calls: where the product has visitors, a new one for a call without credentials.

    Errors: `unauthenticated` where it has none; `rate_limited` for too many new visitors from one address.
    """
    welcome = getattr(connection.app.state, "welcome", None)
    if caller is None and welcome is not None:
        caller = await welcome(connection)
    if caller is None:
        raise sign_in_required()
    return caller


async def require_customer(caller: Annotated[Caller | None, Depends(current_caller)]) -> Caller:
    """Return who calls if that is somebody who has signed up; `unauthenticated` for strangers and visitors."""
    if caller is None or caller.visitor:
        raise sign_in_required()
    return caller


def sign_in_required() -> Problem:
    """Return the problem for a call that needs an account."""
    return Problem(
        "unauthenticated",
        "Sign in or create an account to go on.",
        actions=[Action("sign_in", "Sign in", "/sign-in")],
    )


MaybeCaller = Annotated[Caller | None, Depends(current_caller)]
RequiredCaller = Annotated[Caller, Depends(require_caller)]
RequiredCustomer = Annotated[Caller, Depends(require_customer)]
AnyConnection = Request | WebSocket
