"""Confirming an address and replacing a forgotten password over HTTP. Mounted beside `endpoints`.

`app.state.proofs` is the service; `app.state.mail_base(request)` gives the address that links begin with, or None.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from penstock.accounts import cookies, origins
from penstock.accounts.clients import client_of
from penstock.accounts.endpoints import Accounts, require_passwords
from penstock.accounts.proofs import Proofs
from penstock.accounts.schemas import MAX_INPUT_CHARACTERS, AccountView, SignedInView
from penstock.accounts.sessions import SESSION_IDLE_S
from penstock.kit.caller import RequiredCustomer

Text = Annotated[str, Field(max_length=MAX_INPUT_CHARACTERS)]

router = APIRouter(tags=["accounts"])


def proofs_of(request: Request) -> Proofs:
    """Return the service that the app holds."""
    service = request.app.state.proofs
    assert isinstance(service, Proofs)
    return service


TheProofs = Annotated[Proofs, Depends(proofs_of)]


class LinkToken(BaseModel):
    """What stands behind the # of a link."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "8Jw…"}]})

    token: Text


class Address(BaseModel):
    """Whose password is forgotten."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "ann@example.org"}]})

    email: Text


class NewPassword(BaseModel):
    """A new password, with the token of a link."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": "8Jw…", "password": "correct horse battery"}]})

    token: Text
    password: Text = Field(description="8 to 256 characters")


@router.post("/auth/verify", summary="Confirm one's e-mail address")
async def verify_address(proofs: TheProofs, body: LinkToken) -> AccountView:
    """Take the address as confirmed, by the token of the link that was sent to it."""
    return AccountView.of(await proofs.verify(body.token))


@router.post("/auth/verify/send", status_code=204, summary="Ask for the link that confirms one's address")
async def send_verification(request: Request, proofs: TheProofs, caller: RequiredCustomer) -> None:
    """Send the link again."""
    await proofs.ask_verification(caller.account_id, client_of(request), request.app.state.mail_base(request))


@router.post("/auth/reset", status_code=204, summary="Ask for a new password")
async def ask_reset(request: Request, accounts: Accounts, proofs: TheProofs, body: Address) -> None:
    """Send a link for a new password. The answer is the same whether there is such an account or not."""
    require_passwords(accounts)
    origins.refuse_cross_site(request, accounts.settings.origins)
    await proofs.ask_reset(body.email, client_of(request), request.app.state.mail_base(request))


@router.post("/auth/reset/confirm", summary="Choose a new password")
async def reset_password(request: Request, accounts: Accounts, proofs: TheProofs, body: NewPassword) -> SignedInView:
    """Replace the password, end every session, and sign in."""
    require_passwords(accounts)
    origins.refuse_cross_site(request, accounts.settings.origins)
    signed_in = await proofs.reset(body.token, body.password, client_of(request))
    cookies.put(request, "session", signed_in.access_token, SESSION_IDLE_S)
    cookies.put(request, "refresh", signed_in.refresh_token, SESSION_IDLE_S)
    return SignedInView.of(signed_in)
