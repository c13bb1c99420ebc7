"""Sign-in, preferences and API keys over HTTP. The app mounts this router under `/api/v1`, adds the middleware
`cookies.SetCookies`, and composes `GET /me` itself, because credits come from above.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from penstock.accounts import cookies, errors, origins
from penstock.accounts.clients import client_of
from penstock.accounts.identify import bearer
from penstock.accounts.key_format import PREFIX
from penstock.accounts.schemas import (
    AccountView,
    Credentials,
    KeyList,
    KeyView,
    NewKey,
    NewKeyView,
    ProfileChange,
    RefreshToken,
    SignedInView,
)
from penstock.accounts.service import AccountsService, SignedIn
from penstock.accounts.sessions import SESSION_IDLE_S
from penstock.kit.caller import Caller, RequiredCaller, RequiredCustomer
from penstock.kit.errors import Problem

router = APIRouter(tags=["accounts"])


def accounts_of(request: Request) -> AccountsService:
    """Return the service that the app holds."""
    service = request.app.state.accounts
    assert isinstance(service, AccountsService)
    return service


Accounts = Annotated[AccountsService, Depends(accounts_of)]


def require_passwords(accounts: AccountsService) -> None:
    """Refuse passwords where the product has none. Errors: `forbidden`."""
    if not accounts.settings.passwords:
        raise errors.no_passwords()


def require_key_owner(caller: RequiredCustomer) -> Caller:
    """Return the signed-in customer; API keys may not do what it asks for: one that could make
    others of its kind would outlive its revocation.
    """
    if caller.credential == "api_key":
        raise errors.session_needed()
    return caller


KeyOwner = Annotated[Caller, Depends(require_key_owner)]


@router.post("/auth/register", status_code=201, summary="Sign up")
async def register(request: Request, accounts: Accounts, body: Credentials) -> SignedInView:
    """Create an account and sign in. A visitor keeps what was done before."""
    require_passwords(accounts)
    origins.refuse_cross_site(request, accounts.settings.origins)
    visitor = cookies.read(request, "visitor")
    signed_in = await accounts.register(body.email, body.password, client_of(request), visitor)
    if visitor is not None:
        cookies.visitor_registered(request)
    if (welcome := getattr(request.app.state, "on_registered", None)) is not None:
        await welcome(request, signed_in.account.id)
    return _entered(request, signed_in)


@router.post("/auth/login", summary="Sign in")
async def login(request: Request, accounts: Accounts, body: Credentials) -> SignedInView:
    """Sign in with e-mail address and password."""
    require_passwords(accounts)
    origins.refuse_cross_site(request, accounts.settings.origins)
    return _entered(request, await accounts.login(body.email, body.password, client_of(request)))


@router.post("/auth/refresh", summary="Renew a session")
async def refresh(request: Request, accounts: Accounts, body: RefreshToken | None = None) -> SignedInView:
    """Exchange a refresh token, from the body or else the cookie, for new tokens. The old one is dead.

    `wrong_state` means that another tab exchanged it a moment ago: repeat the call that needed it.
    """
    if body is not None and body.refresh_token is not None:
        origins.refuse_cross_site(request, accounts.settings.origins)
        return _entered(request, await accounts.refresh(body.refresh_token))
    token = cookies.read(request, "refresh")
    if token is not None:
        origins.refuse_foreign(request, accounts.settings.origins)
    try:
        if token is None:
            raise errors.session_over()
        return _entered(request, await accounts.refresh(token))
    except Problem as problem:
        if problem.code == "unauthenticated":  # the page starts again from nothing instead of failing for ever
            cookies.drop(request, "session", "refresh")
        raise


@router.post("/auth/logout", status_code=204, summary="Sign out")
async def logout(request: Request, accounts: Accounts, body: RefreshToken | None = None) -> None:
    """End the session of the bearer token, the refresh token in the body, or the cookies; at once."""
    access = refresh_token = None
    if (authorization := request.headers.get("authorization")) is not None:
        access = bearer(authorization)
        if access.startswith(PREFIX):
            raise Problem("forbidden", "An API key has no session to end. Delete the key instead.")
    else:
        access, refresh_token = cookies.read(request, "session"), cookies.read(request, "refresh")
        if access is not None or refresh_token is not None:
            origins.refuse_foreign(request, accounts.settings.origins)
            cookies.drop(request, "session", "refresh")
    if body is not None and body.refresh_token is not None:
        refresh_token = body.refresh_token
    await accounts.logout(access, refresh_token)


@router.post("/auth/logout/everywhere", status_code=204, summary="Sign out everywhere")
async def logout_everywhere(request: Request, accounts: Accounts, caller: KeyOwner) -> None:
    """End every session of one's account, this one too. API keys go on working: they are revoked one by one."""
    await accounts.logout_everywhere(caller.account_id)
    cookies.drop(request, "session", "refresh")


@router.patch("/me", summary="Change one's preferences")
async def change_profile(accounts: Accounts, caller: RequiredCaller, body: ProfileChange) -> AccountView:
    """Change one's preferences."""
    return AccountView.of(await accounts.change_preferences(caller.account_id, dict(body.preferences)))


@router.post("/me/keys", status_code=201, summary="Make an API key")
async def add_key(accounts: Accounts, caller: KeyOwner, body: NewKey) -> NewKeyView:
    """Make an API key. It is shown this once."""
    return NewKeyView.with_text(*await accounts.add_key(caller.account_id, body.name, body.scopes))


@router.get("/me/keys", summary="List one's API keys")
async def list_keys(accounts: Accounts, caller: KeyOwner) -> KeyList:
    """List one's API keys."""
    return KeyList(items=[KeyView.of(key) for key in await accounts.keys(caller.account_id)])


@router.delete("/me/keys/{key_id}", status_code=204, summary="Revoke an API key")
async def revoke_key(accounts: Accounts, caller: KeyOwner, key_id: str) -> None:
    """Revoke one of one's API keys; it stops working at once."""
    await accounts.revoke_key(caller.account_id, key_id)


def _entered(request: Request, signed_in: SignedIn) -> SignedInView:
    cookies.put(request, "session", signed_in.access_token, SESSION_IDLE_S)
    cookies.put(request, "refresh", signed_in.refresh_token, SESSION_IDLE_S)
    return SignedInView.of(signed_in)
