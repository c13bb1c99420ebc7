"""Sessions: families of refresh tokens, in the caller's open transaction.

A refresh token is exchanged once for its successor. One that comes a second time is held by two, of whom one is
perhaps a thief, so the whole family dies and both must sign in (RFC 9700, section 4.14.2).

Two tabs of one customer may send the same token at the same moment, which must not sign the customer out. So within
`REFRESH_RACE_S` of its exchange a second use is refused without ending the family, and gives nothing: the slower tab
goes on with the cookie that the faster one got. Safe, because nobody gets a token from a token that was used: a thief
who is second inside the grace leaves with empty hands, and one who is first is found out by the customer's next use
after it. The price: a client that loses the answer to its exchange must sign in again.
"""

from dataclasses import dataclass

from penstock.accounts import people, queries
from penstock.accounts.people import Account
from penstock.kit.database import Transaction
from penstock.kit.ids import new_id

SESSION_IDLE_S = 30 * 86_400  # a session that is not used for this long is over
SESSION_MAX_S = 180 * 86_400  # after this the customer signs in anew, however busy the session is
REFRESH_RACE_S = 10  # grace in which a second use of a token is taken for a second tab
SWEEP_ROWS = 500  # rows that one maintenance transaction deletes at most


@dataclass(frozen=True)
class Renewed:
    """A refresh token was exchanged."""

    account: Account
    family: str


@dataclass(frozen=True)
class NotRenewed:
    """A refresh token was refused; `ended` is the account whose session died of it, `raced` a second tab."""

    raced: bool = False
    ended: str | None = None


def start(tx: Transaction, account_id: str, token_hash: str, agent: str) -> str:
    """Open a session with its first refresh token and return its family."""
    family = new_id("fam")
    _issue(tx, account_id, family, token_hash, agent, tx.now)
    return family


def renew(tx: Transaction, token_hash: str, successor_hash: str) -> Renewed | NotRenewed:
    """Exchange a refresh token for its successor.

    A refusal is returned, not raised: what it changes (a family that dies) must be committed.

    Errors: `blocked`, and the token stays good for when the block ends.
    """
    row = tx.one(queries.EXCHANGE, token_hash=token_hash, now=tx.now)
    if row is None:
        return _refuse(tx, token_hash)
    account = people.get(tx, row["account_id"])
    people.refuse_blocked(account.block_reason, account.blocked_until, tx.now)
    _issue(tx, account.id, row["family"], successor_hash, row["agent"], row["started_at"])
    return Renewed(account, row["family"])


def end(tx: Transaction, family: str) -> None:
    """End a session; what is over stays so."""
    while tx.run(queries.REVOKE_FAMILY, family=family, now=tx.now):
        pass


def end_by_token(tx: Transaction, token_hash: str) -> str | None:
    """End the session that a refresh token belongs to and return its account, or None if there is no such token."""
    row = tx.one(queries.SESSION_BY_DIGEST, token_hash=token_hash)
    if row is None:
        return None
    end(tx, row["family"])
    account_id: str = row["account_id"]
    return account_id


def end_all(tx: Transaction, account_id: str) -> None:
    """End every session of an account."""
    while tx.run(queries.REVOKE_ACCOUNT_SESSIONS, account_id=account_id, now=tx.now):
        pass


def sweep(tx: Transaction) -> int:
    """Delete up to `SWEEP_ROWS` expired refresh tokens and return how many; for maintenance."""
    return tx.run(queries.DELETE_EXPIRED_SESSIONS, now=tx.now, rows=SWEEP_ROWS)


def _refuse(tx: Transaction, token_hash: str) -> NotRenewed:
    row = tx.one(queries.SESSION_BY_DIGEST, token_hash=token_hash)
    if row is None or row["revoked_at"] is not None or row["used_at"] is None:
        return NotRenewed()  # unknown, ended or expired
    if tx.now - row["used_at"] <= REFRESH_RACE_S:
        return NotRenewed(raced=True)
    end(tx, row["family"])
    return NotRenewed(ended=row["account_id"])


def _issue(tx: Transaction, account_id: str, family: str, token_hash: str, agent: str, started_at: float) -> None:
    tx.run(
        queries.INSERT_SESSION,
        id=new_id("ses"),
        account_id=account_id,
        family=family,
        token_hash=token_hash,
        agent=agent,
        started_at=started_at,
        now=tx.now,
        expires_at=min(tx.now + SESSION_IDLE_S, started_at + SESSION_MAX_S),
    )
