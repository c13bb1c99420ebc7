"""Sessions of Clerk and Auth0: the maker's own front end signs customers in, and its tokens are taken here.

Only who somebody is comes from such a token. What they may do, above all their role, is ours to say.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jwt

from penstock.accounts import emails, errors
from penstock.accounts.issued_tokens import (
    MAX_TOKEN_CHARACTERS,
    SESSION_ALGORITHMS,
    Claims,
    Person,
    TokenRefusedError,
    judge,
    person,
    signed_claims,
)
from penstock.accounts.issuers import Issuer, IssuerUnavailableError
from penstock.kit.clock import Clock

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SessionIssuer:
    """One that signs customers in elsewhere.

    Args:
        judge: raises TokenRefusedError for what was not made for this product.
        in_cookie: whether its front end keeps the token in the cookie `__session`.
    """

    issuer: Issuer
    judge: Callable[[Claims], None]
    in_cookie: bool = False


class IssuedSessions:
    """The tokens of all such issuers of one product."""

    def __init__(self, issuers: Iterable[SessionIssuer], clock: Clock) -> None:
        self._issuers = {each.issuer.url: each for each in issuers}
        self._clock = clock
        self.in_cookie = any(each.in_cookie for each in self._issuers.values())

    def recognises(self, token: str) -> bool:
        """Say whether a token claims to be of one of them; nothing about it is checked yet."""
        return bool(self._issuers) and self._of(token) is not None

    async def person(self, token: str) -> Person:
        """Return who a token is about. Errors: `unauthenticated`, `unavailable`."""
        source = self._of(token)
        if source is None:
            raise errors.session_over()
        try:
            claims = await signed_claims(token, source.issuer, SESSION_ALGORITHMS)
            judge(claims, source.issuer.url, self._clock.now())
            source.judge(claims)
        except TokenRefusedError as error:
            _log.info("a token of %s was refused: %s", source.issuer.url, error)
            raise errors.session_over() from error
        except IssuerUnavailableError as error:
            _log.warning("a token could not be checked: %s", error)
            raise errors.issuer_away("The service that signs you in") from error
        return person(claims, emails.normalised_or_none)

    def _of(self, token: str) -> SessionIssuer | None:
        if len(token) > MAX_TOKEN_CHARACTERS or token.count(".") != 2:
            return None
        try:
            claimed = jwt.decode(token, options={"verify_signature": False}).get("iss")
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            return None
        return self._issuers.get(claimed) if isinstance(claimed, str) else None
