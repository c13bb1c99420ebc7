"""Where somebody whom an issuer knows comes in: to the account they have, or to one that is made for them.

Both ways in lead here: back from an OpenID provider (`openid`), and with a token of Clerk or Auth0 (`identify`).
"""

from typing import Protocol

from starlette.requests import HTTPConnection

from penstock.accounts import cookies, errors, identities, origins, people
from penstock.accounts.clients import NO_CLIENT, Client, client_of
from penstock.accounts.digests import Digests
from penstock.accounts.guard import Guard
from penstock.accounts.issued_tokens import Person
from penstock.accounts.people import Account
from penstock.accounts.settings import AccountSettings
from penstock.kit.database import Database, Transaction


class Create(Protocol):
    """Makes an account with an address or with none, of the visitor's if there is one; see `AccountsService`."""

    def __call__(
        self, tx: Transaction, email: str | None, password_hash: None, *, visitor_digest: str | None, again: bool
    ) -> Account:
        """Make it, and tell the rest of the product."""
        ...


class Entrance:
    """The way in for people whom issuers know."""

    def __init__(
        self, database: Database, settings: AccountSettings, guard: Guard, digests: Digests, create: Create
    ) -> None:
        self._database, self._settings, self._guard = database, settings, guard
        self._digests, self._create = digests, create

    async def admit(self, somebody: Person, client: Client) -> None:
        """Count a stranger. Errors: `rate_limited` for too many from one network."""
        if await self._database.read(identities.known, somebody) is None:
            wait_s = await self._guard.new_account(client.address)
            if wait_s > 0:
                raise errors.try_later(wait_s, "new accounts from your network")

    def enter(
        self, tx: Transaction, somebody: Person, client: Client, visitor_token: str | None
    ) -> tuple[Account, bool]:
        """Return the account of somebody, and whether it was made just now.

        Errors: `wrong_state` for an address that its account has not confirmed; `blocked`.
        """
        visitor = None if visitor_token is None else self._digests.of("visitor", visitor_token)

        def create(tx: Transaction, email: str | None) -> Account:
            return self._create(tx, email, None, visitor_digest=visitor, again=client.had_account)

        account, is_new = identities.account_of(tx, somebody, create)
        people.refuse_blocked(account.block_reason, account.blocked_until, tx.now)
        return account, is_new

    async def open_for(self, somebody: Person, connection: HTTPConnection | None) -> None:
        """Give somebody whose token came for the first time an account: the visitor's, if our own page sent it.

        Errors: as `admit` and `enter`.
        """
        client = NO_CLIENT if connection is None else client_of(connection)
        await self.admit(somebody, client)
        visitor = None if connection is None else self._visitor_of(connection)
        _, is_new = await self._database.write(self.enter, somebody, client, visitor)
        if is_new and visitor is not None and connection is not None:
            cookies.visitor_registered(connection)

    def _visitor_of(self, connection: HTTPConnection) -> str | None:
        """Return the visitor's token; a WebSocket could not take the cookie away, another site's page must not try."""
        if connection.scope["type"] != "http" or origins.is_cross_site(connection, self._settings.origins):
            return None
        return cookies.read(connection, "visitor")
