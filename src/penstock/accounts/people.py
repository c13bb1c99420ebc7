"""Accounts themselves: customers, staff and visitors. Every function works in the caller's open transaction."""

import json
from dataclasses import dataclass
from typing import Any

from penstock.accounts import queries
from penstock.accounts.errors import blocked, invalid_field
from penstock.kit.caller import Role
from penstock.kit.database import Row, Transaction
from penstock.kit.errors import Problem, not_found
from penstock.kit.ids import new_id

MAX_PREFERENCES_BYTES = 4_096  # as JSON, all of one account
MAX_REASON_CHARACTERS = 500


@dataclass(frozen=True)
class Account:
    """One account; times are in seconds since 1970 UTC, `email` is None for a visitor."""

    id: str
    email: str | None
    role: Role
    plan: str
    plan_renews_at: float | None
    visitor: bool
    preferences: dict[str, Any]
    created_at: float
    block_reason: str | None
    blocked_until: float | None
    verified_at: float | None = None


def get(tx: Transaction, account_id: str) -> Account:
    """Return an account. Errors: `not_found`."""
    row = tx.one(queries.ACCOUNT, id=account_id)
    if row is None:
        raise not_found("account")
    return _account(row)


def find(tx: Transaction, email: str) -> Account | None:
    """Return the account of a normalised e-mail address, or None."""
    row = tx.one(queries.ACCOUNT_BY_EMAIL, email=email)
    return None if row is None else _account(row)


def register(
    tx: Transaction,
    email: str | None,
    password_hash: str | None,
    plan: str,
    *,
    visitor_digest: str | None = None,
    role: Role = "customer",
) -> Account | None:
    """Create a customer, or make one of a visitor, who keeps id and work; None if the address is taken.

    Either gets `plan`: that of visitors is theirs alone.

    Somebody whom an issuer knows needs no password, and no address.

    The visitor's cookie is dead afterwards: whoever else holds it must not get into the customer's account.
    """
    if visitor_digest is not None:
        parameters = {"email": email, "password_hash": password_hash, "plan": plan, "digest": visitor_digest}
        upgraded: str | None = tx.value(queries.UPGRADE_VISITOR, **parameters, now=tx.now)
        if upgraded is not None:
            return get(tx, upgraded)
    account_id = new_id("acc")
    inserted = tx.run(
        queries.INSERT_ACCOUNT,
        id=account_id,
        email=email,
        password_hash=password_hash,
        role=role,
        plan=plan,
        now=tx.now,
    )
    return get(tx, account_id) if inserted else None


def open_visitor(tx: Transaction, plan: str, digest: str) -> Account:
    """Create an anonymous account, known by the digest of its cookie."""
    account_id = new_id("acc")
    tx.run(queries.INSERT_VISITOR, id=account_id, plan=plan, digest=digest, now=tx.now)
    return get(tx, account_id)


def set_role(tx: Transaction, account_id: str, role: Role) -> None:
    """Make an account customer, support or admin. Errors: `not_found`."""
    _changed(tx.run(queries.SET_ROLE, id=account_id, role=role))


def set_password(tx: Transaction, account_id: str, password_hash: str) -> None:
    """Replace a password; sessions go on, so end them too where the old one may be known. Errors: `not_found`."""
    _changed(tx.run(queries.SET_HASH, id=account_id, password_hash=password_hash))


def set_verified(tx: Transaction, account_id: str) -> None:
    """Note that the account's address is its owner's; the first time stays."""
    tx.run(queries.SET_VERIFIED, id=account_id, now=tx.now)


def set_plan(tx: Transaction, account_id: str, plan: str, renews_at: float | None) -> None:
    """Put an account on a plan until `renews_at`. Errors: `not_found`."""
    _changed(tx.run(queries.SET_PLAN, id=account_id, plan=plan, renews_at=renews_at))


def block(tx: Transaction, account_id: str, reason: str, until: float | None) -> None:
    """Block an account, for good if `until` is None; the customer reads `reason`.

    Errors: `not_found`; `invalid_input` for an empty or overlong reason.
    """
    if not 0 < len(reason.strip()) <= MAX_REASON_CHARACTERS:
        raise invalid_field("reason", f"Give a reason of 1 to {MAX_REASON_CHARACTERS} characters.")
    _changed(tx.run(queries.SET_BLOCK, id=account_id, reason=reason.strip(), until=until))


def unblock(tx: Transaction, account_id: str) -> None:
    """End a block. Errors: `not_found`."""
    _changed(tx.run(queries.SET_BLOCK, id=account_id, reason=None, until=None))


def refuse_blocked(reason: str | None, until: float | None, now: float) -> None:
    """Raise `blocked` for an account with a reason whose end is not past."""
    if reason is not None and (until is None or now < until):
        raise blocked(reason, until)


def change_preferences(tx: Transaction, account_id: str, changes: dict[str, Any]) -> Account:
    """Merge `changes` into the preferences; None takes a key out. Errors: `invalid_input`, `wrong_state`."""
    account = get(tx, account_id)
    merged = {**account.preferences, **changes}
    text = _json({key: value for key, value in merged.items() if value is not None})
    if len(text) > MAX_PREFERENCES_BYTES:
        raise invalid_field("preferences", f"Preferences take up to {MAX_PREFERENCES_BYTES} bytes in all.")
    if not tx.run(queries.SET_PREFERENCES, id=account_id, new=text, old=_json(account.preferences)):
        raise Problem("wrong_state", "Your preferences were changed elsewhere just now. Please try again.")
    return get(tx, account_id)


def _changed(rows: int) -> None:
    if not rows:
        raise not_found("account")


def _json(value: dict[str, Any]) -> str:
    """Write JSON in one way only (ASCII, no spaces), so that equal preferences are equal texts."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def _account(row: Row) -> Account:
    return Account(**{**row, "visitor": bool(row["visitor"]), "preferences": json.loads(row["preferences"])})
