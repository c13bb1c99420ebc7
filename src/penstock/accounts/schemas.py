"""The JSON of sign-in, profile and keys."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from penstock.accounts.api_keys import ApiKey
from penstock.accounts.people import Account
from penstock.accounts.service import SignedIn
from penstock.kit.caller import Role
from penstock.kit.clock import optional_rfc3339, rfc3339

MAX_INPUT_CHARACTERS = 1_024  # of any one text in these requests, before it is judged
MAX_PREFERENCES = 100  # in one request

Text = Annotated[str, Field(max_length=MAX_INPUT_CHARACTERS)]
Preference = Text | bool | int | Annotated[float, Field(allow_inf_nan=False)] | None


class Credentials(BaseModel):
    """Who signs up or in."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "ann@example.org", "password": "correct horse battery"}]}
    )

    email: Text
    password: Text = Field(description="8 to 256 characters")


class RefreshToken(BaseModel):
    """What is exchanged or ended: the token, or nothing where the cookie carries it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"refresh_token": "rt_8Jw…"}, {}]})

    refresh_token: Text | None = None


class AccountView(BaseModel):
    """An account as its owner sees it."""

    id: str = Field(examples=["acc_0h3kz2v9q1m4x7c2b8n5j6d0s1a"])
    email: str | None = Field(description="null for a visitor", examples=["ann@example.org"])
    role: Role
    plan: str = Field(examples=["free"])
    visitor: bool = Field(description="an anonymous account, which registration makes a customer's")
    verified: bool = Field(default=False, description="whether the e-mail address was confirmed")
    preferences: dict[str, Any] = Field(examples=[{"theme": "dark"}])
    created_at: str = Field(examples=["2026-11-20T09:30:00.250Z"])

    @classmethod
    def of(cls, account: Account) -> "AccountView":
        """Show an account."""
        return cls(
            id=account.id,
            email=account.email,
            role=account.role,
            plan=account.plan,
            visitor=account.visitor,
            verified=account.verified_at is not None,
            preferences=account.preferences,
            created_at=rfc3339(account.created_at),
        )


class SignedInView(BaseModel):
    """A session's tokens; the web app gets them as cookies too."""

    account: AccountView
    access_token: str = Field(description="for `Authorization: Bearer`")
    refresh_token: str = Field(description="good for one `POST /auth/refresh`")
    expires_in_s: int = Field(description="seconds that the access token lives", examples=[900])

    @classmethod
    def of(cls, signed_in: SignedIn) -> "SignedInView":
        """Show a session."""
        return cls(
            account=AccountView.of(signed_in.account),
            access_token=signed_in.access_token,
            refresh_token=signed_in.refresh_token,
            expires_in_s=signed_in.expires_in_s,
        )


class ProfileChange(BaseModel):
    """Changes to one's own account."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"preferences": {"theme": "dark", "tour": None}}]})

    preferences: dict[Text, Preference] = Field(
        max_length=MAX_PREFERENCES, description="merged into what is there; null takes a key out"
    )


class NewKey(BaseModel):
    """An API key to be made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Nightly batch", "scopes": ["read", "write"]}]})

    name: Text = Field(description="1 to 80 characters, for its owner")
    scopes: Annotated[list[Text], Field(max_length=10)] = Field(
        description="`read` for GET, `write` for everything else"
    )


class KeyView(BaseModel):
    """An API key as its owner sees it later."""

    id: str = Field(examples=["key_0h3kz2v9q1m4x7c2b8n5j6d0s1a"])
    name: str
    prefix: str = Field(examples=["pk_9fK2a"])
    last4: str = Field(examples=["x7Qa"])
    scopes: list[str]
    created_at: str
    last_used_at: str | None = Field(description="to the minute")

    @classmethod
    def of(cls, key: ApiKey) -> "KeyView":
        """Show a key."""
        return cls(**_key_fields(key))


class NewKeyView(KeyView):
    """An API key just made, the only time that `key` is shown."""

    key: str

    @classmethod
    def with_text(cls, made: ApiKey, key: str) -> "NewKeyView":
        """Show a key with its text."""
        return cls(key=key, **_key_fields(made))


class KeyList(BaseModel):
    """The API keys of an account, newest first."""

    items: list[KeyView]


def _key_fields(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "last4": key.last4,
        "scopes": list(key.scopes),
        "created_at": rfc3339(key.created_at),
        "last_used_at": optional_rfc3339(key.last_used_at),
    }
