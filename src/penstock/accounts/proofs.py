"""One-time links by mail: that an address is its owner's, and a new password for whoever forgot theirs.

A link's token is random (256 bits), known to the database by its digest only, good for one use and a short time, and
dead as soon as another one of its kind is used. Asking says nothing about whether there is an account.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from penstock.accounts import api_keys, emails, errors, passwords, people, queries
from penstock.accounts.clients import Client
from penstock.accounts.digests import Digests
from penstock.accounts.guard import Guard
from penstock.accounts.people import Account
from penstock.accounts.service import AccountsService, SignedIn
from penstock.kit.database import Database, Row, Transaction
from penstock.kit.errors import Problem
from penstock.notify.mail import Letter, Post

Purpose = Literal["verify", "reset"]
TOKEN_BYTES = 32
LIFETIMES_S: dict[Purpose, float] = {"verify": 3 * 86_400.0, "reset": 3_600.0}
SWEEP_ROWS = 500


@dataclass(frozen=True)
class Proofs:
    """Links by mail for the accounts of one product.

    Args:
        post: where letters go; None: no mail can be sent.
        brand: gives the product's name, as letters say it.
    """

    database: Database
    accounts: AccountsService
    guard: Guard
    post: Post | None
    brand: Callable[[], str]

    async def welcome(self, account_id: str, base: str | None) -> None:
        """Send a new customer the link that proves the address; nothing where no mail can be sent."""
        if self.post is not None and base is not None:
            await self.database.write(self._write_verification, account_id, base)

    async def ask_verification(self, account_id: str, client: Client, base: str | None) -> None:
        """Send the link again. Errors: `wrong_state` for a proven address, `rate_limited`, `unavailable`."""
        address = self._base(base)
        account = await self.accounts.profile(account_id)
        if account.email is None or account.verified_at is not None:
            raise Problem("wrong_state", "Your e-mail address is confirmed already.")
        await self._wait(account.email, client)
        await self.database.write(self._write_verification, account_id, address)

    async def verify(self, token: str) -> Account:
        """Take an address as proven. Errors: `invalid_input` on `token` for a link that is used, old or wrong."""
        return await self.database.write(self._verify, self._digest("verify", token))

    async def ask_reset(self, email: str, client: Client, base: str | None) -> None:
        """Send a link for a new password, if there is such an account. Errors: `rate_limited`, `unavailable`."""
        link_base = self._base(base)
        address = emails.normalise(email)
        await self._wait(address, client)
        await self.database.write(self._write_reset, address, link_base)

    async def reset(self, token: str, password: str, client: Client) -> SignedIn:
        """Replace a password, end every session and sign in; the address is proven by it, too.

        Errors: `invalid_input` on `token` or `password`; `blocked`, `busy`.
        """
        digest = self._digest("reset", token)
        row = await self.database.read(_find, digest, "reset")
        passwords.accept(password, row["email"])

        def claim(tx: Transaction) -> str:
            account_id = _use(tx, digest, "reset")
            if people.get(tx, account_id).verified_at is None:
                # Whoever opened the account may not be whom the address belongs to: nothing of theirs stays valid.
                api_keys.revoke_all(tx, account_id)
            people.set_verified(tx, account_id)
            return account_id

        return await self.accounts.replace_password(claim, password, client)

    async def sweep(self) -> int:
        """Forget tokens that are over. A chore of maintenance."""
        return await self.database.write(_sweep)

    def _verify(self, tx: Transaction, digest: str) -> Account:
        account_id = _use(tx, digest, "verify")
        people.set_verified(tx, account_id)
        return people.get(tx, account_id)

    def _write_verification(self, tx: Transaction, account_id: str, base: str) -> None:
        account = people.get(tx, account_id)
        if account.email is None or account.verified_at is not None:
            return
        link = f"{base}/verify#{self._token(tx, account, 'verify')}"
        text = (
            f"Hello,\n\nplease confirm that this address is yours:\n\n{link}\n\n"
            f"The link works for three days. If you have not signed up at {self.brand()}, ignore this letter.\n"
        )
        self._put(tx, account, f"Confirm your address for {self.brand()}", text)

    def _write_reset(self, tx: Transaction, email: str, base: str) -> None:
        account = people.find(tx, email)
        if account is None:
            return
        link = f"{base}/reset#{self._token(tx, account, 'reset')}"
        text = (
            f"Hello,\n\nhere you can choose a new password for {self.brand()}:\n\n{link}\n\n"
            "The link works once, within an hour. Choosing a password signs you out everywhere else.\n"
            "If you have not asked for it, ignore this letter: nothing has changed.\n"
        )
        self._put(tx, account, f"A new password for {self.brand()}", text)

    def _token(self, tx: Transaction, account: Account, purpose: Purpose) -> str:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        tx.run(
            queries.INSERT_PROOF,
            digest=self._digest(purpose, token),
            account_id=account.id,
            purpose=purpose,
            email=account.email,
            expires_at=tx.now + LIFETIMES_S[purpose],
        )
        return token

    def _put(self, tx: Transaction, account: Account, subject: str, text: str) -> None:
        assert self.post is not None
        assert account.email is not None
        self.post.put(tx, Letter(account.email, subject, text))

    def _digest(self, purpose: Purpose, token: str) -> str:
        return Digests(self.accounts.settings.secret).of("mail link", f"{purpose} {token}")

    def _base(self, base: str | None) -> str:
        if self.post is None or base is None:
            raise Problem("unavailable", "We can't send e-mail right now. Please write to us instead.")
        return base

    async def _wait(self, email: str, client: Client) -> None:
        wait_s = await self.guard.letter(email, client.address)
        if wait_s > 0:
            raise errors.try_later(wait_s, "letters to this address, or from your network")


def _find(tx: Transaction, digest: str, purpose: Purpose) -> Row:
    row = tx.one(queries.PROOF, digest=digest, purpose=purpose, now=tx.now)
    if row is None:
        raise _over()
    return row


def _use(tx: Transaction, digest: str, purpose: Purpose) -> str:
    """Use a token, and every other one of its kind up; returns whose it was."""
    account_id = tx.value(queries.USE_PROOF, digest=digest, purpose=purpose, now=tx.now)
    if account_id is None:
        raise _over()
    tx.run(queries.END_PROOFS, account_id=account_id, purpose=purpose)
    return str(account_id)


def _over() -> Problem:
    return errors.invalid_field("token", "This link has been used, or it is too old. Please ask for a new one.")


def _sweep(tx: Transaction) -> int:
    return tx.run(queries.SWEEP_PROOFS, now=tx.now, rows=SWEEP_ROWS)
