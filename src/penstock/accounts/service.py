"""What people do with their accounts: sign up, sign in, stay signed in, leave; and what others do with them.

The async methods are whole actions with their own transactions. Those that take a `tx` are building blocks for
billing, admin and the command line: they join the caller's transaction and see to it that a change counts at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import HTTPConnection

from penstock.accounts import (
    api_keys,
    cookies,
    emails,
    errors,
    origins,
    passwords,
    people,
    queries,
    sessions,
)
from penstock.accounts.api_keys import ApiKey
from penstock.accounts.clients import Client, address_of
from penstock.accounts.digests import Digests
from penstock.accounts.entrance import Entrance
from penstock.accounts.guard import Guard
from penstock.accounts.identify import Identifier, OwnCredentials
from penstock.accounts.issued_sessions import IssuedSessions
from penstock.accounts.issued_tokens import Person
from penstock.accounts.key_format import new_key
from penstock.accounts.passwords import Passwords
from penstock.accounts.people import Account
from penstock.accounts.settings import AccountSettings
from penstock.accounts.tokens import ACCESS_TTL_S, AccessTokens, new_refresh_token, new_visitor_token
from penstock.kit.caller import Caller, Role
from penstock.kit.clock import Clock
from penstock.kit.database import Database, Row, Transaction
from penstock.kit.errors import Problem

OnAccountCreated = Callable[[Transaction, str, str], None]


def _nothing_follows(tx: Transaction, account_id: str, plan: str) -> None:
    """Do nothing when an account is created."""


@dataclass(frozen=True)
class SignedIn:
    """An account with the tokens of its session; `expires_in_s` is about the access token."""

    account: Account
    access_token: str
    refresh_token: str
    expires_in_s: int = ACCESS_TTL_S


class AccountsService:
    """Accounts of one product.

    Args:
        guard: slows down guessing.
        on_account_created: called with (transaction, account id, plan) when somebody signs up, as a stranger or as a
            visitor, in the transaction that makes the account; what it raises undoes the sign-up. Not for visitors.
        on_account_again: called instead where a visitor of the same browser became an account before.
        passwords: argon2id as recommended, if not given.
        issued: the tokens of others that are taken; none, if not given.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        settings: AccountSettings,
        guard: Guard,
        *,
        on_account_created: OnAccountCreated = _nothing_follows,
        on_account_again: OnAccountCreated | None = None,
        passwords: Passwords | None = None,
        issued: IssuedSessions | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self.settings = settings
        self._guard = guard
        self._on_account_created = on_account_created
        self._on_account_again = on_account_again or on_account_created
        self._passwords = passwords or Passwords()
        self._digests = Digests(settings.secret)
        self._tokens = AccessTokens(self._digests.key("access token"), settings.issuer)
        self._entrance = Entrance(database, settings, guard, self._digests, self._create)
        own = OwnCredentials(settings, self._digests, self._tokens)
        issued = issued or IssuedSessions((), clock)
        self._identifier = Identifier(database, clock, own, issued, self._entrance.open_for)

    # Who calls

    async def identify(self, connection: HTTPConnection) -> Caller | None:
        """Return who makes a request or opens a WebSocket, None for a call without credentials.

        Errors: `unauthenticated` for credentials that don't hold, `blocked`, `forbidden` for a missing scope or a
        cross-site request that rides on a cookie.
        """
        return await self._identifier.identify(connection)

    async def identify_token(self, token: str, scope: str = "read") -> Caller:
        """Return who an access token or API key belongs to; for the first message of a WebSocket. As `identify`."""
        return await self._identifier.by_token(token, scope)

    async def welcome(self, connection: HTTPConnection) -> Caller | None:
        """Open an anonymous account for a request without credentials and set its cookie.

        Returns None where that is no use: the product has no visitors, the caller is another site's page (whose
        browser would not keep the cookie) or a WebSocket.

        Errors: `rate_limited` for too many from one address.
        """
        usable = connection.scope["type"] == "http" and not origins.is_cross_site(connection, self.settings.origins)
        if not self.settings.anonymous or not usable:
            return None
        wait_s = await self._guard.new_visitor(address_of(connection))
        if wait_s > 0:
            raise errors.try_later(wait_s, "new visitors from your network")
        token = new_visitor_token()
        digest = self._digests.of("visitor", token)
        plan = self.settings.visitor_plan or self.settings.default_plan
        account = await self._database.write(people.open_visitor, plan, digest)
        cookies.put(connection, "visitor", token, cookies.VISITOR_TTL_S)
        return Caller(account.id, account.plan, visitor=True, credential="visitor")

    # Signing in and out

    async def register(self, email: str, password: str, client: Client, visitor_token: str | None = None) -> SignedIn:
        """Create an account and sign in; a visitor's account becomes the customer's and keeps its work.

        Errors: `invalid_input` on `email` (also when it is taken) or `password`, `rate_limited`, `busy`, `blocked`.
        """
        address = emails.normalise(email)
        passwords.accept(password, address)
        self._passwords.refuse_if_busy()
        wait_s = await self._guard.new_account(client.address)
        if wait_s > 0:
            raise errors.try_later(wait_s, "new accounts from your network")
        password_hash = await self._passwords.hash(password)
        visitor = None if visitor_token is None else self._digests.of("visitor", visitor_token)
        refresh_token = new_refresh_token()
        token_hash = self._digests.of("refresh token", refresh_token)

        def unit(tx: Transaction) -> tuple[Account, str]:
            account = self._create(tx, address, password_hash, visitor_digest=visitor, again=client.had_account)
            return account, sessions.start(tx, account.id, token_hash, client.agent)

        return self._signed_in(*await self._database.write(unit), refresh_token)

    async def login(self, email: str, password: str, client: Client) -> SignedIn:
        """Sign in to an existing account. What a visitor has done before stays with the visitor, for now.

        Errors: `unauthenticated`, the same for an unknown address and a wrong password; `rate_limited`, `busy`,
        `blocked`.
        """
        address = _tried_address(email)
        self._passwords.refuse_if_busy()
        wait_s = await self._guard.sign_in(address, client.address)
        if wait_s > 0:
            raise errors.try_later(wait_s, "attempts to sign in")
        row = await self._database.read(_password, address)
        checked = await self._passwords.check(password, row["password_hash"] if row else None)
        if row is None or not checked.right:
            raise errors.wrong_credentials()
        await self._guard.signed_in(address, client.address)
        refresh_token = new_refresh_token()
        token_hash = self._digests.of("refresh token", refresh_token)
        opened = await self._database.write(_open_session, row, checked.rehashed, token_hash, client.agent)
        return self._signed_in(*opened, refresh_token)

    async def sign_in_as(
        self, somebody: Person, client: Client, visitor_token: str | None = None
    ) -> tuple[SignedIn, bool]:
        """Sign in whom an issuer knows, and say whether the account was made just now.

        A stranger gets an account: that of the visitor, who keeps its work, or a fresh one.

        Errors: `wrong_state` for an address that an account has not confirmed; `rate_limited`, `blocked`.
        """
        await self._entrance.admit(somebody, client)
        refresh_token = new_refresh_token()
        token_hash = self._digests.of("refresh token", refresh_token)

        def unit(tx: Transaction) -> tuple[Account, str, bool]:
            account, is_new = self._entrance.enter(tx, somebody, client, visitor_token)
            return account, sessions.start(tx, account.id, token_hash, client.agent), is_new

        account, family, is_new = await self._database.write(unit)
        return self._signed_in(account, family, refresh_token), is_new

    async def replace_password(self, claim: Callable[[Transaction], str], password: str, client: Client) -> SignedIn:
        """Replace the password of whom `claim` finds, end every session, and sign in.

        Args:
            claim: returns the account, in the transaction, or raises; the password was accepted before.
        Errors: those of `claim`; `blocked`, `busy`.
        """
        self._passwords.refuse_if_busy()
        password_hash = await self._passwords.hash(password)
        refresh_token = new_refresh_token()
        token_hash = self._digests.of("refresh token", refresh_token)

        def unit(tx: Transaction) -> tuple[Account, str]:
            account_id = claim(tx)
            account = people.get(tx, account_id)
            people.refuse_blocked(account.block_reason, account.blocked_until, tx.now)
            people.set_password(tx, account_id, password_hash)
            sessions.end_all(tx, account_id)
            self._look_up_anew(tx, account_id)
            return people.get(tx, account_id), sessions.start(tx, account_id, token_hash, client.agent)

        return self._signed_in(*await self._database.write(unit), refresh_token)

    async def refresh(self, refresh_token: str) -> SignedIn:
        """Exchange a refresh token for new tokens; see `sessions` for what a second use does.

        Errors: `unauthenticated`; `wrong_state` for a tab that lost a race; `blocked`.
        """
        successor = new_refresh_token()
        outcome = await self._database.write(
            sessions.renew,
            self._digests.of("refresh token", refresh_token),
            self._digests.of("refresh token", successor),
        )
        if isinstance(outcome, sessions.Renewed):
            return self._signed_in(outcome.account, outcome.family, successor)
        if outcome.ended is not None:
            self._identifier.forget(outcome.ended)
        raise errors.already_renewed() if outcome.raced else errors.session_over()

    async def logout(self, access_token: str | None, refresh_token: str | None) -> None:
        """End the session that either token belongs to, expired or not. Tokens that belong to none are no error."""
        claims = None
        if access_token is not None:
            try:
                claims = self._tokens.read_expired(access_token, self._clock.now())
            except Problem:  # somebody who leaves need not prove anything
                claims = None
        token_hash = None if refresh_token is None else self._digests.of("refresh token", refresh_token)

        def unit(tx: Transaction) -> None:
            if claims is not None:
                sessions.end(tx, claims.session)
                self._look_up_anew(tx, claims.account_id)
            if token_hash is not None and (account_id := sessions.end_by_token(tx, token_hash)) is not None:
                self._look_up_anew(tx, account_id)

        await self._database.write(unit)

    async def logout_everywhere(self, account_id: str) -> None:
        """End every session of an account."""

        def unit(tx: Transaction) -> None:
            sessions.end_all(tx, account_id)
            self._look_up_anew(tx, account_id)

        await self._database.write(unit)

    # One's own account

    async def profile(self, account_id: str) -> Account:
        """Return an account, for `GET /me`. Errors: `not_found`."""
        return await self._database.read(people.get, account_id)

    async def change_preferences(self, account_id: str, changes: dict[str, Any]) -> Account:
        """Merge `changes` into the preferences; None takes one out. Errors: `invalid_input`, `wrong_state`."""
        return await self._database.write(people.change_preferences, account_id, changes)

    async def add_key(self, account_id: str, name: str, scopes: Iterable[str]) -> tuple[ApiKey, str]:
        """Make an API key and return it with its text, which can't be had again.

        Errors: `invalid_input`, `wrong_state`.
        """
        key = new_key()
        digest = self._digests.of("api key", key)
        return await self._database.write(api_keys.add, account_id, key, digest, name, scopes), key

    async def keys(self, account_id: str) -> list[ApiKey]:
        """Return an account's API keys, newest first."""
        return await self._database.read(api_keys.listed, account_id)

    async def revoke_key(self, account_id: str, key_id: str) -> None:
        """Revoke an account's own API key; it stops working at once. Errors: `not_found`."""

        def unit(tx: Transaction) -> None:
            api_keys.revoke(tx, account_id, key_id)
            self._look_up_anew(tx, account_id)

        await self._database.write(unit)

    async def sweep(self) -> int:
        """Delete some expired refresh tokens and return how many; for maintenance."""
        return await self._database.write(sessions.sweep)

    # For billing, admin and the command line

    def create_admin(self, tx: Transaction, email: str, password: str) -> Account:
        """Create an administrator, or make one of the account with this address.

        An existing account gets the new password and loses its sessions and API keys: whoever opened it under that
        address may be somebody else. Takes a fifth of a second.

        Errors: `invalid_input` on `email` or `password`.
        """
        address = emails.normalise(email)
        passwords.accept(password, address)
        password_hash = self._passwords.hash_now(password)
        known = people.find(tx, address)
        if known is None:
            return self._create(tx, address, password_hash, role="admin")
        people.set_password(tx, known.id, password_hash)
        sessions.end_all(tx, known.id)
        api_keys.revoke_all(tx, known.id)
        self.set_role(tx, known.id, "admin")
        return people.get(tx, known.id)

    def set_role(self, tx: Transaction, account_id: str, role: Role) -> None:
        """Make an account customer, support or admin. Errors: `not_found`."""
        people.set_role(tx, account_id, role)
        self._look_up_anew(tx, account_id)

    def set_plan(self, tx: Transaction, account_id: str, plan: str, renews_at: float | None) -> None:
        """Put an account on a plan until `renews_at`, in seconds since 1970 UTC. Errors: `not_found`."""
        people.set_plan(tx, account_id, plan, renews_at)
        self._look_up_anew(tx, account_id)

    def block(self, tx: Transaction, account_id: str, reason: str, until: float | None) -> None:
        """Block an account, for good if `until` is None; the customer reads `reason`.

        Errors: `not_found`, `invalid_input`.
        """
        people.block(tx, account_id, reason, until)
        self._look_up_anew(tx, account_id)

    def unblock(self, tx: Transaction, account_id: str) -> None:
        """End a block. Errors: `not_found`."""
        people.unblock(tx, account_id)
        self._look_up_anew(tx, account_id)

    def _create(
        self,
        tx: Transaction,
        email: str | None,
        password_hash: str | None,
        *,
        visitor_digest: str | None = None,
        role: Role = "customer",
        again: bool = False,
    ) -> Account:
        plan = self.settings.default_plan
        account = people.register(tx, email, password_hash, plan, visitor_digest=visitor_digest, role=role)
        if account is None:
            raise errors.email_taken()
        people.refuse_blocked(account.block_reason, account.blocked_until, tx.now)  # a visitor's block goes along
        (self._on_account_again if again else self._on_account_created)(tx, account.id, account.plan)
        self._look_up_anew(tx, account.id)
        return account

    def _signed_in(self, account: Account, family: str, refresh_token: str) -> SignedIn:
        return SignedIn(account, self._tokens.issue(account.id, family, self._clock.now()), refresh_token)

    def _look_up_anew(self, tx: Transaction, account_id: str) -> None:
        tx.after_commit(partial(self._identifier.forget, account_id))


def _tried_address(email: str) -> str:
    """Return the normalised address, or an impossible one: what is no address has no account."""
    try:
        return emails.normalise(email)
    except Problem:
        return ""


def _password(tx: Transaction, email: str) -> Row | None:
    return tx.one(queries.HASH_BY_EMAIL, email=email)


def _open_session(
    tx: Transaction, checked: Row, rehashed: str | None, token_hash: str, agent: str
) -> tuple[Account, str]:
    """Open a session for whoever had the right password a moment ago, if that is still the password."""
    account_id, known = checked["id"], checked["password_hash"]
    if tx.one(queries.HASH_IS[tx.dialect], id=account_id, hash=known) is None:
        raise errors.wrong_credentials()
    account = people.get(tx, account_id)
    people.refuse_blocked(account.block_reason, account.blocked_until, tx.now)
    if rehashed is not None:
        tx.run(queries.REHASH, id=account_id, old=known, new=rehashed)
    return account, sessions.start(tx, account_id, token_hash, agent)
