"""Which account somebody from an issuer has; in the caller's open transaction.

An identity is an issuer and a subject there, and has one account for good. At its first sign-in it

- joins the account with the address that the issuer vouches for, if that account has confirmed the address itself;
- is refused if that account has not: whoever opened it may be somebody else, who waits for the address's owner to come
  along and work in an account that two can enter (pre-hijacking; Sudhodanan and Paverd, 2022);
- else makes an account, of the visitor's if there is one. An address that the issuer does not vouch for is not taken.
"""

from collections.abc import Callable

from penstock.accounts import errors, people, queries
from penstock.accounts.issued_tokens import Person
from penstock.accounts.people import Account
from penstock.kit.database import Transaction

Create = Callable[[Transaction, str | None], Account]


def known(tx: Transaction, person: Person) -> str | None:
    """Return the id of the account that somebody has, None for a stranger."""
    found = tx.value(queries.IDENTITY, issuer=person.issuer, subject=person.subject)
    return None if found is None else str(found)


def account_of(tx: Transaction, person: Person, create: Create) -> tuple[Account, bool]:
    """Return the account that somebody has from now on, and whether it was made just now.

    Args:
        create: makes an account with an address, which is confirmed, or with none.
    Errors: `wrong_state` for the address of an account that has not confirmed it.
    """
    tx.alone(f"identity {person.issuer} {person.subject}")  # two tabs, or two requests with one token
    account_id = known(tx, person)
    if account_id is not None:
        return people.get(tx, account_id), False
    account = None if person.email is None else people.find(tx, person.email)
    if account is not None and account.verified_at is None:
        raise errors.address_unconfirmed()
    made = account is None
    if account is None:
        account = create(tx, person.email)
        if person.email is not None:
            people.set_verified(tx, account.id)
    tx.run(queries.INSERT_IDENTITY, issuer=person.issuer, subject=person.subject, account_id=account.id, now=tx.now)
    return people.get(tx, account.id), made
