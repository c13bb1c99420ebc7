"""Whether a token of an issuer holds: signature, issuer, audience, who it was made for, time, nonce.

ID tokens of OpenID providers (OpenID Connect Core 1.0, section 3.1.3.7) and session tokens of Clerk and Auth0 alike.
PyJWT checks the signature; the rest is judged here, by this server's own clock, so that tests can own it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from penstock.accounts.issuers import Issuer, usable

SKEW_S = 5  # by which the issuer's clock may differ from ours
MAX_TOKEN_CHARACTERS = 16_384
MAX_SUBJECT_CHARACTERS = 255  # OpenID Connect Core 1.0, section 2
OPENID_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SESSION_ALGORITHMS = ("RS256",)

Claims = dict[str, Any]

_OPTIONS: jwt.types.Options = {
    "verify_aud": False,
    "verify_exp": False,
    "verify_iat": False,
    "verify_iss": False,
    "verify_nbf": False,
    "verify_sub": False,
    "verify_jti": False,
    "enforce_minimum_key_length": True,
}


class TokenRefusedError(Exception):
    """A token does not hold; the message says why, for operators."""


@dataclass(frozen=True)
class Person:
    """Who somebody is at an issuer; `email` only where the issuer vouches for it."""

    issuer: str
    subject: str
    email: str | None = None


async def signed_claims(token: str, issuer: Issuer, algorithms: Sequence[str]) -> Claims:
    """Return what a token says, once the issuer's signature is found right.

    Errors: TokenRefusedError; IssuerUnavailableError if the issuer's keys can't be had.
    """
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise TokenRefusedError("it is too long")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, UnicodeError) as error:
        raise TokenRefusedError("it is no signed token") from error
    algorithm, key_id = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenRefusedError("its algorithm is not one that counts")
    entries = await issuer.keys(key_id if isinstance(key_id, str) else None)
    keys = [key for entry in entries if (key := usable(entry, algorithm)) is not None]
    if not keys:
        raise TokenRefusedError("it names a key that the issuer does not have")
    for key in keys:
        try:
            return jwt.decode(token, key, algorithms=[algorithm], options=_OPTIONS)
        except (jwt.InvalidTokenError, jwt.InvalidKeyError, UnicodeError, RecursionError):
            continue
    raise TokenRefusedError("its signature is wrong")


def judge(claims: Claims, issuer: str, now: float) -> None:
    """Judge what every token must say: who made it, about whom, and that now is its time. Errors: TokenRefusedError."""
    if claims.get("iss") != issuer:
        raise TokenRefusedError("another issuer made it")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARACTERS or not _plain(subject):
        raise TokenRefusedError("it names nobody")
    if now >= _time(claims, "exp") + SKEW_S:
        raise TokenRefusedError("it has expired")
    if _time(claims, "iat") > now + SKEW_S:
        raise TokenRefusedError("it was made in the future")
    if "nbf" in claims and _time(claims, "nbf") > now + SKEW_S:
        raise TokenRefusedError("its time has not come yet")


def judge_id_token(claims: Claims, issuer: str, client_id: str, nonce: str, now: float) -> None:
    """Judge an ID token: made for this client, and in answer to this very question. Errors: TokenRefusedError."""
    judge(claims, issuer, now)
    audience = _audience(claims)
    if client_id not in audience:
        raise TokenRefusedError("it was made for somebody else")
    if claims.get("azp", client_id) != client_id or (len(audience) > 1 and "azp" not in claims):
        raise TokenRefusedError("it was asked for by somebody else")
    if claims.get("nonce") != nonce:
        raise TokenRefusedError("it answers another question")


def judge_audience(claims: Claims, audience: str) -> None:
    """Judge whether an access token was made for this API. Errors: TokenRefusedError."""
    if audience not in _audience(claims):
        raise TokenRefusedError("it was made for somebody else")


def judge_clerk(claims: Claims, origins: Sequence[str]) -> None:
    """Judge whether a session of Clerk counts: finished, and opened on one of these origins, or any if none is named.

    Clerk leaves `azp` out of tokens that no browser asked for; such a token says nothing against itself.

    Errors: TokenRefusedError.
    """
    if claims.get("sts") == "pending":
        raise TokenRefusedError("its session is not complete: Clerk still wants something of the customer")
    if origins and "azp" in claims and claims["azp"] not in origins:
        raise TokenRefusedError("its session was opened on another site")


def person(claims: Claims, normalised: Callable[[str], str | None]) -> Person:
    """Return who judged claims are about; `email_verified` must be a plain true for the address to count."""
    email = claims.get("email")
    vouched = isinstance(email, str) and claims.get("email_verified") is True
    return Person(claims["iss"], claims["sub"], normalised(str(email)) if vouched else None)


def _audience(claims: Claims) -> list[Any]:
    audience = claims.get("aud")
    return audience if isinstance(audience, list) else [audience]


def _plain(subject: str) -> bool:
    return subject.isascii() and subject.isprintable()


def _time(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or (isinstance(value, float) and math.isnan(value))
    ):
        raise TokenRefusedError(f"it does not say its {name}")
    return value
