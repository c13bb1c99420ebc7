"""From a request to who makes it: bearer token, session cookie, Clerk's cookie, visitor's cookie, in this order.

A bearer token is an access token of ours, an API key, or a token of Clerk or Auth0, whose first use makes an account.

A signed access token costs one read for its session and account, an API key and a visitor one as well, and none
within `REMEMBER_S` of the last. Whether the caller is blocked and what a key may do is judged every time.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import HTTPConnection

from penstock.accounts import api_keys, cookies, errors, origins, people, queries
from penstock.accounts.digests import Digests
from penstock.accounts.issued_sessions import IssuedSessions
from penstock.accounts.issued_tokens import Person
from penstock.accounts.key_format import PREFIX, well_formed
from penstock.accounts.remembered import Known, Remembered
from penstock.accounts.settings import AccountSettings
from penstock.accounts.tokens import AccessTokens
from penstock.kit.caller import ALL_SCOPES, Caller, Credential
from penstock.kit.clock import Clock
from penstock.kit.database import Database, DatabaseUnavailableError, Row, Transaction

_log = logging.getLogger(__name__)

Enter = Callable[[Person, HTTPConnection | None], Awaitable[None]]


@dataclass(frozen=True)
class OwnCredentials:
    """What it takes to read the credentials that this server issues."""

    settings: AccountSettings
    digests: Digests
    tokens: AccessTokens


class Identifier:
    """Finds out who calls.

    Args:
        own: made from the same settings as those that issue credentials.
        issued: the tokens of others that are taken.
        enter: gives somebody from an issuer an account at the first use of a token; the connection, if there is one,
            says which visitor they were.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        own: OwnCredentials,
        issued: IssuedSessions,
        enter: Enter,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings, self._digests, self._tokens = own.settings, own.digests, own.tokens
        self._issued, self._enter = issued, enter
        self._remembered = Remembered(clock)

    async def identify(self, connection: HTTPConnection) -> Caller | None:
        """Return who makes a request, None if it carries no credentials.

        Errors: `unauthenticated`, `blocked`, `forbidden`.
        """
        authorization = connection.headers.get("authorization")
        if authorization is not None:
            scope = "write" if _writes(connection) else "read"
            return await self.by_token(bearer(authorization), scope, connection)
        session = cookies.read(connection, "session")
        clerk = cookies.read(connection, "clerk") if self._issued.in_cookie else None
        visitor = cookies.read(connection, "visitor") if self._settings.anonymous else None
        if session is None and clerk is None and visitor is None:
            return None
        if origins.is_unsafe(connection):
            origins.refuse_foreign(connection, self._settings.origins)
        if session is not None:
            return await self._by_access_token(session)
        return await (self._by_visitor(visitor or "") if clerk is None else self._by_issued(clerk, connection))

    async def by_token(self, token: str, scope: str, connection: HTTPConnection | None = None) -> Caller:
        """Return who an access token or API key belongs to, if it has the scope `read` or `write`.

        Errors: `unauthenticated`, `blocked`, `forbidden`.
        """
        if token.startswith(PREFIX):
            caller = await self._by_key(token)
        elif self._issued.recognises(token):
            caller = await self._by_issued(token, connection)
        else:
            caller = await self._by_access_token(token)
        if scope not in caller.scopes:
            raise errors.missing_scope(scope)
        return caller

    def forget(self, account_id: str) -> None:
        """Look an account up anew at its next request."""
        self._remembered.forget(account_id)

    async def _by_access_token(self, token: str) -> Caller:
        claims = self._tokens.read(token, self._clock.now())

        async def read() -> Known | None:
            parameters = {"family": claims.session, "account_id": claims.account_id}
            return _known(await self._database.read(_one, queries.CALLER_BY_SESSION, parameters), "session")

        known = await self._known(f"session {claims.account_id} {claims.session}", read)
        if known is None:
            raise errors.session_over()
        return self._admitted(known)

    async def _by_issued(self, token: str, connection: HTTPConnection | None) -> Caller:
        person = await self._issued.person(token)
        parameters = {"issuer": person.issuer, "subject": person.subject}

        async def read() -> Known | None:
            return _known(await self._database.read(_one, queries.CALLER_BY_IDENTITY, parameters), "session")

        key = f"issued {person.issuer} {person.subject}"
        known = await self._known(key, read)
        if known is None:
            await self._enter(person, connection)
            known = await self._known(key, read)
        if known is None:
            raise errors.session_over()
        return self._admitted(known)

    async def _by_visitor(self, token: str) -> Caller | None:
        digest = self._digests.of("visitor", token)

        async def read() -> Known | None:
            return _known(await self._database.read(_one, queries.CALLER_BY_VISITOR, {"digest": digest}), "visitor")

        known = await self._known(f"visitor {digest}", read)
        # A cookie of an account that has been registered or deleted is as good as none.
        return None if known is None else self._admitted(known)

    async def _by_key(self, key: str) -> Caller:
        if not well_formed(key):
            raise errors.invalid_key()
        digest = self._digests.of("api key", key)

        async def read() -> Known | None:
            return _known(await self._database.read(_one, queries.CALLER_BY_KEY, {"digest": digest}), "api_key")

        known = await self._known(f"key {digest}", read)
        if known is None:
            raise errors.invalid_key()
        caller = self._admitted(known)
        await self._note_use(f"key {digest}", known)
        return caller

    async def _known(self, credential: str, read: Callable[[], Awaitable[Known | None]]) -> Known | None:
        known = self._remembered.get(credential)
        if known is None:
            epoch = self._remembered.epoch
            known = await read()
            if known is not None:
                self._remembered.keep(credential, known, epoch)
        return known

    def _admitted(self, known: Known) -> Caller:
        people.refuse_blocked(known.block_reason, known.blocked_until, self._clock.now())
        return known.caller

    async def _note_use(self, credential: str, known: Known) -> None:
        now = self._clock.now()
        if known.key_used_at is not None and now - known.key_used_at < api_keys.LAST_USED_EVERY_S:
            return
        assert known.key_id is not None
        epoch = self._remembered.epoch
        try:
            await self._database.write(api_keys.touch, known.key_id)
        except DatabaseUnavailableError as error:  # a full disk must not keep programs from reading
            _log.warning("the use of an API key was not noted: %s", error)
            return
        self._remembered.keep(credential, replace(known, key_used_at=now), epoch)


def bearer(authorization: str) -> str:
    """Return the token of an Authorization header. Errors: `unauthenticated` if it is no bearer token."""
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise errors.invalid_credentials()
    return token.strip()


def _writes(connection: HTTPConnection) -> bool:
    return connection.scope["type"] == "http" and origins.is_unsafe(connection)


def _one(tx: Transaction, sql: str, parameters: dict[str, Any]) -> Row | None:
    return tx.one(sql, **parameters)


def _known(row: Row | None, credential: Credential) -> Known | None:
    if row is None:
        return None
    caller = Caller(
        account_id=row["id"],
        plan=row["plan"],
        role=row["role"],
        visitor=bool(row["visitor"]),
        email=row["email"],
        scopes=frozenset(row["scopes"].split()) if credential == "api_key" else ALL_SCOPES,
        credential=credential,
    )
    return Known(caller, row["block_reason"], row["blocked_until"], row.get("key_id"), row.get("last_used_at"))
