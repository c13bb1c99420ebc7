"""Issuers of tokens: what they say of themselves, and the keys they sign with; read when needed, and kept a while.

An unknown key is looked for once, and then not again for `LOOK_AGAIN_S`: whoever sends tokens with invented key ids
must not make this server ask the issuer each time. An issuer that doesn't answer is left alone for `LEFT_ALONE_S`,
and what it said before holds for `STALE_S`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import jwt

from penstock.kit.clock import Clock
from penstock.kit.json_client import JsonClient, JsonUnavailableError

FRESH_S = 3_600.0  # for which what an issuer said is not asked again
STALE_S = 86_400.0  # for which it holds if the issuer does not answer
LOOK_AGAIN_S = 60.0  # between two looks for unknown keys
LEFT_ALONE_S = 10.0  # after an issuer did not answer
MAX_KEYS = 50  # of one issuer

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/.well-known/jwks.json"

Keys = Mapping[str | None, tuple[dict[str, Any], ...]]  # by key id: unchecked, but of an asymmetric kind
T = TypeVar("T")
_log = logging.getLogger(__name__)


class IssuerUnavailableError(Exception):
    """An issuer does not answer, or says of itself what can't be used; the message is for operators."""


@dataclass(frozen=True)
class Endpoints:
    """Where an OpenID provider does what, by its own word.

    `secret_in_form`: the client's secret goes into the form, because the provider takes no other way.
    `names_itself`: its answers carry `iss` (RFC 9207).
    """

    authorization: str
    token: str
    keys: str
    userinfo: str | None
    secret_in_form: bool
    names_itself: bool


class Issuer:
    """One issuer.

    Args:
        url: as it calls itself, and as the claim `iss` has it.
        keys_at: where its keys lie; None: where it says itself.
    """

    def __init__(self, url: str, client: JsonClient, clock: Clock, keys_at: str | None = None) -> None:
        self.url = url
        self._client, self._keys_at = client, keys_at
        self._endpoints = _Kept(clock, self._read_endpoints)
        self._keys = _Kept(clock, self._read_keys)

    async def endpoints(self) -> Endpoints:
        """Return where it does what. Errors: IssuerUnavailableError."""
        return await self._endpoints.get()

    async def keys(self, key_id: str | None) -> tuple[dict[str, Any], ...]:
        """Return the keys that may have this id; none where it has no such key. Errors: IssuerUnavailableError."""
        found = _with_id(await self._keys.get(), key_id)
        return found or _with_id(await self._keys.look_again(), key_id)

    async def _read_endpoints(self) -> Endpoints:
        said = await self._document(self.url.rstrip("/") + DISCOVERY)
        if said.get("issuer") != self.url:
            raise IssuerUnavailableError(f"{self.url} calls itself {str(said.get('issuer'))[:200]!r}")
        methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        return Endpoints(
            authorization=self._address(said, "authorization_endpoint"),
            token=self._address(said, "token_endpoint"),
            keys=self._address(said, "jwks_uri"),
            userinfo=self._address(said, "userinfo_endpoint") if "userinfo_endpoint" in said else None,
            secret_in_form=isinstance(methods, list) and "client_secret_basic" not in methods,
            names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _read_keys(self) -> Keys:
        url = self._keys_at or (await self.endpoints()).keys
        entries = (await self._document(url)).get("keys")
        if not isinstance(entries, list):
            raise IssuerUnavailableError(f"{url} holds no keys")
        found: dict[str | None, tuple[dict[str, Any], ...]] = {}
        for entry in entries[:MAX_KEYS]:
            if isinstance(entry, dict) and entry.get("kty") in {"RSA", "EC", "OKP"}:
                name = entry.get("kid") if isinstance(entry.get("kid"), str) else None
                found[name] = (*found.get(name, ()), entry)
        return found

    async def _document(self, url: str) -> dict[str, Any]:
        try:
            answer = await self._client.get(url)
        except JsonUnavailableError as error:
            raise IssuerUnavailableError(str(error)) from error
        if not answer.ok:
            raise IssuerUnavailableError(f"{url} refuses to answer")
        return answer.values

    def _address(self, said: Mapping[str, Any], name: str) -> str:
        """Return an address that it named: in the clear only where it is spoken to so itself."""
        address = said.get(name)
        schemes = {"https", urlsplit(self.url).scheme}
        if not isinstance(address, str) or not _is_address(address, schemes):
            raise IssuerUnavailableError(f"{self.url} names no usable {name}")
        return address


class _Kept(Generic[T]):
    """Something that is read now and then, by one reader at a time."""

    def __init__(self, clock: Clock, read: Callable[[], Awaitable[T]]) -> None:
        self._clock, self._read = clock, read
        self._lock = asyncio.Lock()
        self._value: T | None = None
        self._read_at = self._failed_at = self._looked_at = float("-inf")
        self._failure = IssuerUnavailableError("it has not been asked yet")

    async def get(self) -> T:
        """Return it, read anew if it is not fresh any more. Errors: IssuerUnavailableError."""
        if self._value is not None and self._age() < FRESH_S:
            return self._value
        async with self._lock:
            if self._value is None or self._age() >= FRESH_S:
                await self._renew()
            return self._held()

    async def look_again(self) -> T:
        """Return it, read anew unless that was done for the same reason a moment ago. Errors as `get`."""
        async with self._lock:
            if not 0 <= self._clock.now() - self._looked_at < LOOK_AGAIN_S:
                self._looked_at = self._clock.now()
                await self._renew()
            return self._held()

    def _held(self) -> T:
        if self._value is None or self._age() >= STALE_S:
            raise self._failure
        return self._value

    async def _renew(self) -> None:
        if 0 <= self._clock.now() - self._failed_at < LEFT_ALONE_S:
            return
        try:
            self._value = await self._read()
            self._read_at = self._clock.now()
        except IssuerUnavailableError as error:
            self._failure, self._failed_at = error, self._clock.now()
            _log.warning("an issuer can't be used: %s", error)

    def _age(self) -> float:
        """Return seconds since it was read; a clock set back makes it old."""
        age_s = self._clock.now() - self._read_at
        return age_s if age_s >= 0 else STALE_S


def _with_id(keys: Keys, key_id: str | None) -> tuple[dict[str, Any], ...]:
    """Return keys by id; for a token that names none, every key, as a provider with one key may leave it out."""
    if key_id is not None:
        return keys.get(key_id, ())
    return tuple(key for entries in keys.values() for key in entries)


def _is_address(address: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and len(address) <= 2_000


def usable(entry: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    """Return a key of an issuer for checking signatures of this algorithm, None if it is not meant or fit for that."""
    if entry.get("use", "sig") != "sig" or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        return jwt.PyJWK(dict(entry), algorithm)
    except (jwt.PyJWKError, jwt.InvalidKeyError, ValueError, TypeError, KeyError):
        return None
