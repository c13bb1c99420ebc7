"""How customers identify themselves: passwords, OpenID providers, and sessions of Clerk and Auth0."""

from typing import Literal

from pydantic import Field

from penstock.product.schema_parts import Address, EnvironmentVariable, Name, Part, Scope, Title


class OpenId(Part):
    """One OpenID provider, shown as a button on the page for signing in."""

    title: Title = Field(description="its name, as the button says it", examples=["Google"])
    issuer: Address = Field(
        description="its address, exactly as it calls itself; `/.well-known/openid-configuration` lies behind it",
        examples=["https://accounts.google.com"],
    )
    client_id: Title = Field(description="this product's name there", examples=["1234.apps.googleusercontent.com"])
    client_secret_env: EnvironmentVariable | None = Field(
        default=None, description="the variable that holds the client's secret; absent: a public client, which has none"
    )
    scopes: tuple[Scope, ...] = Field(
        default=("openid", "email"), strict=False, max_length=20, description="what is asked for; `openid` is needed"
    )


class Clerk(Part):
    """Sessions of Clerk: the maker's own front end signs customers in."""

    issuer: Address = Field(description="the Frontend API URL", examples=["https://clerk.example.org"])
    origins: tuple[Address, ...] = Field(
        default=(),
        strict=False,
        max_length=20,
        description="origins whose sessions are taken, as in the claim `azp`, such as `https://example.org`; "
        "needed where several front ends share one Clerk instance; absent: any",
    )


class Auth0(Part):
    """Access tokens of Auth0: the maker's own front end signs customers in."""

    issuer: Address = Field(
        description="the tenant's address, with the slash at its end", examples=["https://example.eu.auth0.com/"]
    )
    audience: Title = Field(
        description="the identifier of the API there, which the front end must ask for",
        examples=["https://api.example.org"],
    )


class SignIn(Part):
    """How customers identify themselves."""

    methods: tuple[Literal["password"], ...] = Field(
        default=("password",),
        strict=False,
        description="ways to sign in beside those below; `password` is e-mail and password, `[]` switches it off",
    )
    anonymous: bool = Field(default=False, description="visitors may work before they sign up, and keep what they made")
    anonymous_plan: Name | None = Field(default=None, description="the plan of visitors; absent: the first one")
    gift_credits: int = Field(
        default=0, ge=0, le=1_000_000, description="credits that a new account gets once, when it signs up; they stay"
    )
    openid: dict[Name, OpenId] = Field(
        default={}, max_length=10, description="OpenID providers, by name; the name is part of their return address"
    )
    clerk: Clerk | None = Field(default=None, description="takes sessions of Clerk")
    auth0: Auth0 | None = Field(default=None, description="takes access tokens of Auth0")

    @property
    def password(self) -> bool:
        """Whether customers may sign in with e-mail and password."""
        return "password" in self.methods
