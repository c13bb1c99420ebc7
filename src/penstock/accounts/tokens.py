"""The two tokens of a session.

The access token is a signed JWT that lives `ACCESS_TTL_S` and names account and session, so that most of a request's
check is arithmetic. The refresh token is random, known to the database only by its digest, and good for one exchange
(see `sessions`).

The issuer's own clock decides about time, so that tests can own it; hence the library checks everything but time.
"""

import secrets
from dataclasses import dataclass

import jwt

from penstock.accounts.errors import session_over

ACCESS_TTL_S = 900
CLOCK_SKEW_S = 5  # how far ahead another machine's clock may be
MAX_TOKEN_CHARACTERS = 2_048
REFRESH_TOKEN_BYTES = 32

_ALGORITHM = "HS256"
_AUDIENCE = "penstock/api"
_TYPE = "access"
_CLAIMS = ["iss", "aud", "sub", "sid", "typ", "iat", "exp"]
_OPTIONS: jwt.types.Options = {
    "require": _CLAIMS,
    "strict_aud": True,
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


@dataclass(frozen=True)
class AccessClaims:
    """What an access token says; `session` is the family of the refresh token it came with."""

    account_id: str
    session: str


class AccessTokens:
    """Issues and reads access tokens.

    Args:
        key: 32 bytes.
        issuer: the product; tokens of another issuer are refused.
    """

    def __init__(self, key: bytes, issuer: str) -> None:
        self._key = key
        self._issuer = issuer

    def issue(self, account_id: str, session: str, now: float) -> str:
        """Return a token that is good until `now + ACCESS_TTL_S`."""
        claims = {
            "iss": self._issuer,
            "aud": _AUDIENCE,
            "sub": account_id,
            "sid": session,
            "typ": _TYPE,
            "iat": int(now),
            "exp": int(now) + ACCESS_TTL_S,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str, now: float) -> AccessClaims:
        """Return what a token says. Errors: `unauthenticated` if anything about it is wrong or it has expired."""
        claims, expires_at = self._verified(token, now)
        if now >= expires_at:
            raise session_over()
        return claims

    def read_expired(self, token: str, now: float) -> AccessClaims:
        """Return what a token says even if it has expired: good enough to end its session, never to enter."""
        return self._verified(token, now)[0]

    def _verified(self, token: str, now: float) -> tuple[AccessClaims, int]:
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise session_over()
        try:
            claims = jwt.decode(
                token, self._key, algorithms=[_ALGORITHM], audience=_AUDIENCE, issuer=self._issuer, options=_OPTIONS
            )
        except (jwt.InvalidTokenError, UnicodeError):
            raise session_over() from None
        issued_at, expires_at, session = claims["iat"], claims["exp"], claims["sid"]
        whole = type(issued_at) is int and type(expires_at) is int and type(session) is str
        if not whole or claims["typ"] != _TYPE or issued_at > now + CLOCK_SKEW_S:
            raise session_over()
        return AccessClaims(claims["sub"], session), expires_at


def new_refresh_token() -> str:
    """Return a fresh refresh token of 256 random bits."""
    return f"rt_{secrets.token_urlsafe(REFRESH_TOKEN_BYTES)}"


def new_visitor_token() -> str:
    """Return a fresh visitor's token of 256 random bits."""
    return f"vt_{secrets.token_urlsafe(REFRESH_TOKEN_BYTES)}"
