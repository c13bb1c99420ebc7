"""What accounts need to know of the product and its server, given once at the start."""

from dataclasses import dataclass, field

MIN_SECRET_CHARACTERS = 32


@dataclass(frozen=True)
class AccountSettings:
    """The settings of sign-in.

    Args:
        secret: the server's secret; whoever knows it can be anybody. Changing it ends every session and API key.
        issuer: names this product in its tokens, so that those of another one under the same secret don't hold.
        default_plan: the plan of new customers.
        visitor_plan: the plan of visitors; None: that of new customers.
        passwords: whether customers may sign up and in with e-mail and password.
        anonymous: whether visitors may work before they sign up.
        origins: origins such as `https://example.org` from which pages may call with cookies, besides the server's own
            (needed where a proxy hides the public address, and for front ends elsewhere).

    Errors:
        ValueError: the secret is too short.
    """

    secret: str = field(repr=False)
    issuer: str
    default_plan: str
    anonymous: bool = False
    passwords: bool = True
    visitor_plan: str | None = None
    origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if len(self.secret) < MIN_SECRET_CHARACTERS:
            raise ValueError(
                f"the server's secret has {len(self.secret)} characters and needs at least {MIN_SECRET_CHARACTERS}; "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
