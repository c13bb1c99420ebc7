"""Signing in at an OpenID provider: authorization code with PKCE (RFC 7636), state and nonce (OpenID Connect Core 1.0).

    begin   [remember the way], redirect to the provider
    finish  [use the way up], code for tokens, judge the ID token, [account, session]

The browser carries one random token in a cookie; state, nonce and PKCE verifier are digests of it under keys of their
own. So a way belongs to one browser, and the database, which knows the token by its digest only, gives none of them
away. A way is good once and for `WAY_S`; the last one that a browser began is the one that counts.
"""

import base64
import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from penstock.accounts import emails, errors, identities, queries
from penstock.accounts.clients import Client
from penstock.accounts.digests import Digests
from penstock.accounts.guard import Guard
from penstock.accounts.issued_tokens import (
    OPENID_ALGORITHMS,
    Claims,
    Person,
    TokenRefusedError,
    judge_id_token,
    person,
    signed_claims,
)
from penstock.accounts.issuers import Endpoints, Issuer, IssuerUnavailableError
from penstock.accounts.return_paths import within_site
from penstock.accounts.service import AccountsService, SignedIn
from penstock.kit.clock import Clock
from penstock.kit.database import Database, Row, Transaction
from penstock.kit.errors import Problem, not_found
from penstock.kit.json_client import JsonClient, JsonUnavailableError

WAY_S = 600.0  # from leaving for the provider to being back
TOKEN_BYTES = 32
SWEEP_ROWS = 500
CALLBACK = "/api/v1/auth/openid/{name}/callback"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Provider:
    """One OpenID provider; `secret` is None for a public client."""

    name: str
    title: str
    issuer: Issuer
    client_id: str
    secret: str | None
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Begun:
    """Where the browser goes, and what its cookie holds meanwhile."""

    url: str
    token: str


@dataclass(frozen=True)
class Returned:
    """What a browser brings back from a provider, as it stands in the address; nothing of it is checked."""

    code: str | None = None
    state: str | None = None
    error: str | None = None
    issuer: str | None = None


@dataclass(frozen=True)
class Entered:
    """Somebody signed in; `next_path` is where the browser goes, `is_new` whether the account was made just now."""

    signed_in: SignedIn
    next_path: str
    is_new: bool


class OpenId:
    """The OpenID providers of one product.

    Args:
        providers: by name; those that are off are left out.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        accounts: AccountsService,
        guard: Guard,
        client: JsonClient,
        providers: Mapping[str, Provider],
    ) -> None:
        self._database, self._clock, self._accounts = database, clock, accounts
        self._guard, self._client, self._providers = guard, client, providers
        self._digests = Digests(accounts.settings.secret)

    async def begin(self, name: str, next_path: str | None, base: str | None, client: Client) -> Begun:
        """Begin a way to a provider.

        Args:
            next_path: where to go afterwards; anything but a page of this site is taken for the start page.
            base: what this site's addresses begin with.
        Errors: `not_found`, `unavailable`, `rate_limited`.
        """
        provider = self._provider(name)
        back = self._back(provider, base)
        endpoints = await self._endpoints(provider)
        wait_s = await self._guard.way(client.address)
        if wait_s > 0:
            raise errors.try_later(wait_s, "attempts to sign in")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        await self._database.write(_remember, self._digest(token), provider.name, within_site(next_path))
        question = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": back,
            "scope": " ".join(provider.scopes),
            "state": self._digests.of("sign-in state", token),
            "nonce": self._digests.of("sign-in nonce", token),
            "code_challenge": _challenge(self._verifier(token)),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in endpoints.authorization else "?"
        return Begun(f"{endpoints.authorization}{joint}{urlencode(question)}", token)

    async def finish(
        self,
        name: str,
        returned: Returned,
        token: str | None,
        base: str | None,
        client: Client,
        visitor_token: str | None = None,
    ) -> Entered:
        """Sign in whom a provider sends back.

        Args:
            token: of the browser's cookie.
        Errors: `unauthenticated`, `not_found`, `unavailable`, `wrong_state`, `rate_limited`, `blocked`.
        """
        provider = self._provider(name)
        if token is None or not self._is_answer(returned, token):
            raise errors.sign_in_lost()
        way = await self._database.write(_use, self._digest(token), provider.name)
        if way is None:
            raise errors.sign_in_lost()
        try:
            somebody = await self._somebody(provider, returned, token, base)
        except TokenRefusedError as error:
            _log.warning("an ID token of %s was refused: %s", provider.issuer.url, error)
            raise errors.sign_in_doubtful(provider.title) from error
        except (IssuerUnavailableError, JsonUnavailableError) as error:
            _log.warning("a sign-in was lost: %s", error)
            raise errors.issuer_away(provider.title) from error
        signed_in, is_new = await self._accounts.sign_in_as(somebody, client, visitor_token)
        return Entered(signed_in, way["next_path"], is_new)

    async def sweep(self) -> int:
        """Forget ways that nobody came back from. A chore of maintenance."""
        return await self._database.write(_sweep)

    async def _somebody(self, provider: Provider, returned: Returned, token: str, base: str | None) -> Person:
        endpoints = await provider.issuer.endpoints()
        if returned.issuer != provider.issuer.url and (endpoints.names_itself or returned.issuer is not None):
            raise TokenRefusedError("another provider answered (RFC 9207)")
        if returned.error is not None or returned.code is None:
            _log.info("%s signed nobody in: %s", provider.issuer.url, (returned.error or "no code")[:100])
            raise errors.sign_in_refused(provider.title)
        granted = await self._granted(provider, endpoints, returned.code, token, base)
        id_token, access_token = granted.get("id_token"), granted.get("access_token")
        if not isinstance(id_token, str):
            raise TokenRefusedError("there is none")
        claims = await signed_claims(id_token, provider.issuer, OPENID_ALGORITHMS)
        nonce = self._digests.of("sign-in nonce", token)
        judge_id_token(claims, provider.issuer.url, provider.client_id, nonce, self._clock.now())
        somebody = person(claims, emails.normalised_or_none)
        if "email" in claims or await self._database.read(identities.known, somebody) is not None:
            return somebody
        if isinstance(access_token, str) and endpoints.userinfo is not None:
            claims = await self._completed(claims, endpoints.userinfo, access_token)
        return person(claims, emails.normalised_or_none)

    async def _granted(
        self, provider: Provider, endpoints: Endpoints, code: str, token: str, base: str | None
    ) -> Claims:
        """Return the tokens for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back(provider, base),
            "code_verifier": self._verifier(token),
        }
        basic = None
        if provider.secret is None or endpoints.secret_in_form:
            form |= {"client_id": provider.client_id} | ({"client_secret": provider.secret} if provider.secret else {})
        else:  # both parts in the encoding of forms: RFC 6749, section 2.3.1
            basic = quote(provider.client_id, safe=""), quote(provider.secret, safe="")
        answer = await self._client.post(endpoints.token, form, basic)
        if not answer.ok:
            _log.warning("%s gave no tokens: %s", provider.issuer.url, str(answer.values.get("error"))[:100])
            raise errors.sign_in_refused(provider.title)
        return answer.values

    async def _completed(self, claims: Claims, url: str, access_token: str) -> Claims:
        """Return the claims with the address from the provider's userinfo, where many keep it."""
        answer = await self._client.get(url, access_token)
        if not answer.ok:
            raise JsonUnavailableError(f"{url} refuses to answer")
        if answer.values.get("sub") != claims["sub"]:
            raise TokenRefusedError("the userinfo is about somebody else")
        return {**claims, **{key: answer.values.get(key) for key in ("email", "email_verified")}}

    async def _endpoints(self, provider: Provider) -> Endpoints:
        try:
            return await provider.issuer.endpoints()
        except IssuerUnavailableError as error:
            raise errors.issuer_away(provider.title) from error

    def _provider(self, name: str) -> Provider:
        provider = self._providers.get(name)
        if provider is None:
            raise not_found("way to sign in")
        return provider

    def _back(self, provider: Provider, base: str | None) -> str:
        if base is None:
            _log.error("nobody can sign in at %s: PENSTOCK_PUBLIC_URL is not set", provider.issuer.url)
            raise Problem("unavailable", "Signing in this way is not set up yet. Please write to us.")
        return base + CALLBACK.format(name=provider.name)

    def _is_answer(self, returned: Returned, token: str) -> bool:
        state = (returned.state or "").encode("utf-8", "surrogatepass")
        return hmac.compare_digest(state, self._digests.of("sign-in state", token).encode())

    def _verifier(self, token: str) -> str:
        return self._digests.of("sign-in verifier", token)

    def _digest(self, token: str) -> str:
        return self._digests.of("sign-in", token)


def _challenge(verifier: str) -> str:
    """Return the S256 challenge of a verifier: RFC 7636, section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _remember(tx: Transaction, digest: str, provider: str, next_path: str) -> None:
    tx.run(queries.INSERT_SIGN_IN, digest=digest, provider=provider, next_path=next_path, expires_at=tx.now + WAY_S)


def _use(tx: Transaction, digest: str, provider: str) -> Row | None:
    """Use a way up; returned only if it led to this provider and is not over."""
    way = tx.one(queries.USE_SIGN_IN, digest=digest)
    return way if way is not None and way["provider"] == provider and way["expires_at"] > tx.now else None


def _sweep(tx: Transaction) -> int:
    return tx.run(queries.SWEEP_SIGN_INS, now=tx.now, rows=SWEEP_ROWS)
