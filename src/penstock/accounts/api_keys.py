"""API keys: for programs that act for a customer. Every function works in the caller's open transaction."""

from collections.abc import Iterable
from dataclasses import dataclass

from penstock.accounts import queries
from penstock.accounts.errors import invalid_field
from penstock.accounts.key_format import SHOWN_PREFIX_CHARACTERS
from penstock.kit.caller import ALL_SCOPES
from penstock.kit.database import Row, Transaction
from penstock.kit.errors import Problem, not_found
from penstock.kit.ids import new_id

MAX_KEYS = 20  # of one account
MAX_NAME_CHARACTERS = 80
LAST_USED_EVERY_S = 60  # `last_used_at` is no finer than this, so that reading does not become writing


@dataclass(frozen=True)
class ApiKey:
    """A key as its owner sees it; times are in seconds since 1970 UTC."""

    id: str
    name: str
    prefix: str
    last4: str
    scopes: tuple[str, ...]
    created_at: float
    last_used_at: float | None


def add(tx: Transaction, account_id: str, key: str, digest: str, name: str, scopes: Iterable[str]) -> ApiKey:
    """Keep a fresh key by its digest.

    Errors: `invalid_input` for name or scopes; `wrong_state` if the account has `MAX_KEYS` already.
    """
    added = ApiKey(
        id=new_id("key"),
        name=_accepted_name(name),
        prefix=key[:SHOWN_PREFIX_CHARACTERS],
        last4=key[-4:],
        scopes=_accepted_scopes(scopes),
        created_at=tx.now,
        last_used_at=None,
    )
    tx.alone(f"keys {account_id}")
    inserted = tx.run(
        queries.INSERT_KEY,
        id=added.id,
        account_id=account_id,
        name=added.name,
        prefix=added.prefix,
        last4=added.last4,
        digest=digest,
        scopes=" ".join(added.scopes),
        now=tx.now,
        most=MAX_KEYS,
    )
    if not inserted:
        raise Problem(
            "wrong_state", f"You have {MAX_KEYS} API keys, which is the limit. Delete one that you don't use."
        )
    return added


def listed(tx: Transaction, account_id: str) -> list[ApiKey]:
    """Return the keys of an account that are not revoked, newest first."""
    return [_key(row) for row in tx.all(queries.KEYS, account_id=account_id, most=MAX_KEYS)]


def revoke(tx: Transaction, account_id: str, key_id: str) -> None:
    """Revoke one of the account's own keys. Errors: `not_found`, also for somebody else's and a revoked one."""
    if not tx.run(queries.REVOKE_KEY, id=key_id, account_id=account_id, now=tx.now):
        raise not_found("API key")


def revoke_all(tx: Transaction, account_id: str) -> None:
    """Revoke every key of an account."""
    tx.run(queries.REVOKE_KEYS, account_id=account_id, now=tx.now)


def touch(tx: Transaction, key_id: str) -> None:
    """Note that a key is in use, at most every `LAST_USED_EVERY_S`."""
    tx.run(queries.TOUCH_KEY, id=key_id, now=tx.now, before=tx.now - LAST_USED_EVERY_S)


def _accepted_name(name: str) -> str:
    stripped = name.strip()
    if not 0 < len(stripped) <= MAX_NAME_CHARACTERS or not stripped.isprintable():
        raise invalid_field("name", f"Give the key a name of 1 to {MAX_NAME_CHARACTERS} characters.")
    return stripped


def _accepted_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    wanted = set(scopes)
    if not wanted or not wanted <= ALL_SCOPES:
        raise invalid_field("scopes", f"Choose one or more of these scopes: {', '.join(sorted(ALL_SCOPES))}.")
    return tuple(sorted(wanted))


def _key(row: Row) -> ApiKey:
    return ApiKey(**{**row, "scopes": tuple(row["scopes"].split())})
