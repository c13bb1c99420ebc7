"""To an OpenID provider and back, over HTTP. Mounted beside `endpoints`.

Both are addresses that a browser goes to, not calls of a page: browsers are sent on, to a page that tells what went
wrong if need be; programs get the problem itself. `app.state.openid` is the service, `app.state.mail_base(request)`
gives what this site's addresses begin with, `app.state.product()` the words for problems.
"""

import json
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import RedirectResponse

from penstock.accounts import cookies
from penstock.accounts.clients import client_of
from penstock.accounts.openid import WAY_S, OpenId, Returned
from penstock.accounts.return_paths import MAX_PATH_CHARACTERS
from penstock.accounts.sessions import SESSION_IDLE_S
from penstock.kit.errors import Problem
from penstock.product.texts import reword

SIGN_IN_PAGE = "/sign-in"
TOLD_COOKIE = "penstock_told"
TOLD_S = 60  # for which the page may ask what went wrong
MAX_CHARACTERS = 4_096  # of what a provider sends along

Name = Annotated[str, Path(max_length=40, description="the provider's name in the product file")]
Sent = Annotated[str | None, Query(max_length=MAX_CHARACTERS, description="what the provider sends along")]

router = APIRouter(tags=["accounts"])


@router.get(
    "/auth/openid/{provider}",
    status_code=303,
    response_class=RedirectResponse,
    summary="Sign in at an OpenID provider",
)
async def begin_openid(
    request: Request,
    provider: Name,
    next: Annotated[  # noqa: A002 - what it is called in the address
        str | None, Query(max_length=4 * MAX_PATH_CHARACTERS, description="the page to go to afterwards")
    ] = None,
) -> RedirectResponse:
    """Send the browser to the provider. For people in a browser: go there, don't fetch it."""
    base = request.app.state.mail_base(request)
    try:
        begun = await _openid(request).begin(provider, next, base, client_of(request))
    except Problem as problem:
        return _told(request, problem, base)
    cookies.put(request, "sign_in", begun.token, WAY_S)
    return RedirectResponse(begun.url, 303)


@router.get(
    "/auth/openid/{provider}/callback",
    status_code=303,
    response_class=RedirectResponse,
    summary="Come back from an OpenID provider",
)
async def finish_openid(
    request: Request,
    provider: Name,
    code: Sent = None,
    state: Sent = None,
    error: Sent = None,
    iss: Sent = None,
) -> RedirectResponse:
    """Sign in whom the provider sends back. A visitor keeps what was done before."""
    base = request.app.state.mail_base(request)
    token, visitor = cookies.read(request, "sign_in"), cookies.read(request, "visitor")
    cookies.drop(request, "sign_in")
    returned = Returned(code, state, error, iss)
    try:
        entered = await _openid(request).finish(provider, returned, token, base, client_of(request), visitor)
    except Problem as problem:
        return _told(request, problem, base)
    if visitor is not None and entered.is_new:
        cookies.visitor_registered(request)
    cookies.put(request, "session", entered.signed_in.access_token, SESSION_IDLE_S)
    cookies.put(request, "refresh", entered.signed_in.refresh_token, SESSION_IDLE_S)
    return RedirectResponse(f"{base}{entered.next_path}", 303)


def _openid(request: Request) -> OpenId:
    service = request.app.state.openid
    assert isinstance(service, OpenId)
    return service


def _told(request: Request, problem: Problem, base: str | None) -> RedirectResponse:
    """Send a browser to the page that tells what went wrong; raise it for a program.

    The words travel in a cookie of a minute, not in the address: an address with words in it could be made by anybody.
    """
    if "text/html" not in request.headers.get("accept", ""):
        raise problem
    told = reword(problem, request.app.state.product())
    words = {
        "code": told.code,
        "title": told.title,
        "status": told.status,
        "detail": told.detail,
        "actions": [{"kind": each.kind, "label": each.label, "url": each.url} for each in told.actions],
    }
    answer = RedirectResponse(f"{base or ''}{SIGN_IN_PAGE}", 303)
    answer.set_cookie(
        TOLD_COOKIE,
        quote(json.dumps(words), safe=""),
        max_age=TOLD_S,
        path=SIGN_IN_PAGE,
        secure=request.url.scheme == "https",
        samesite="lax",
    )
    return answer
