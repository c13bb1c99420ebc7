"""Credits that staff give, with a reason, and the audit log: `/admin/ledger/{account_id}/grants` and `/admin/audit`.

Admins and support may grant; only admins read the log. The grant and its entry are one transaction.
"""

import hashlib
import json
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from penstock.accounts import people
from penstock.app.operators import Reason, staff_only
from penstock.kit.caller import Caller, RequiredCaller
from penstock.kit.clock import rfc3339
from penstock.kit.cursors import MAX_CURSOR_CHARACTERS, read_cursor, write_cursor
from penstock.kit.database import Database, Row, Transaction
from penstock.kit.errors import FieldError, Problem
from penstock.ledger import service as ledger
from penstock.ledger import statement
from penstock.ledger.service import Grant
from penstock.observability import audit
from penstock.observability.audit import Actor

MAX_GRANT_CREDITS = 1_000_000  # in one go: more is surely a slip of the finger
MAX_KEY_CHARACTERS = 255
DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS = 20, 100

router = APIRouter(prefix="/admin", tags=["admin"])


class NewGrant(BaseModel):
    """Credits for a customer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"credits": 4, "reason": "Sorry for the two blurred pictures"}]},
    )

    credits: int = Field(ge=1, le=MAX_GRANT_CREDITS)
    reason: Reason = Field(description="the customer reads it, too")


class GrantView(BaseModel):
    """Credits that were given."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "account": "acc_0h3kz1c7m2x9v4b6n8q0w5e3r1t",
                    "credits": 4,
                    "reason": "Sorry for the two blurred pictures",
                    "available": 25,
                }
            ]
        }
    )

    account: str
    credits: int
    reason: str
    available: int = Field(description="what the customer can spend now")


class AuditEntryView(BaseModel):
    """What an operator did."""

    id: str
    at: str
    actor: str = Field(description="who did it: an e-mail address, or a user of the machine")
    actor_account: str | None = Field(description="null: from the command line")
    action: str = Field(
        description="`credits.granted`, `account.limits`, `account.blocked`, `account.unblocked`, `account.admin`"
    )
    account: str | None = Field(description="to whom")
    reason: str | None
    details: dict[str, JsonValue]

    @classmethod
    def of(cls, row: Row) -> "AuditEntryView":
        """Show a row of the log."""
        shown: dict[str, Any] = {name: row[name] for name in ("actor", "action", "reason")}
        shown |= {"id": str(row["id"]), "at": rfc3339(row["at"]), "details": json.loads(row["details"])}
        return cls(**shown, actor_account=row["actor_id"], account=row["account_id"])


class AuditPage(BaseModel):
    """Entries, newest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "id": "12",
                            "at": "2026-11-20T09:30:00.250Z",
                            "actor": "support@example.org",
                            "actor_account": "acc_0h3kz2v9q1m4x7c2b8n5j6d0s1a",
                            "action": "credits.granted",
                            "account": "acc_0h3kz1c7m2x9v4b6n8q0w5e3r1t",
                            "reason": "Sorry for the two blurred pictures",
                            "details": {"credits": 4, "source": "staff/5f1d7a84db00d2fc"},
                        }
                    ],
                    "next_cursor": None,
                }
            ]
        }
    )

    items: list[AuditEntryView]
    next_cursor: str | None = Field(description="send it as `cursor` for the next page; null on the last one")


def actor_of(tx: Transaction, caller: Caller) -> Actor:
    """Return who makes a request, by the name that the log keeps even when the account is gone."""
    return Actor(caller.account_id, people.get(tx, caller.account_id).email or caller.account_id)


@router.post("/ledger/{account_id}/grants", summary="Give a customer credits", status_code=201)
async def grant_credits(
    request: Request,
    response: Response,
    caller: RequiredCaller,
    account_id: str,
    body: NewGrant,
    key: Annotated[
        str,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=MAX_KEY_CHARACTERS,
            description="your name for this grant: sent again with the same body, it is granted once",
        ),
    ],
) -> GrantView:
    """Give credits for a reason that the customer reads beside them. Answered with 200 when it was granted before."""
    staff_only(caller)
    database: Database = request.app.state.database
    view, fresh = await database.write(_grant, caller, account_id, body, key)
    response.status_code = 201 if fresh else 200
    return view


@router.get("/audit", summary="Read the audit log")
async def list_audit(
    request: Request,
    caller: RequiredCaller,
    account: Annotated[str | None, Query(max_length=64, description="only what was done to this account")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS, description="entries on one page")] = DEFAULT_PAGE_ROWS,
    cursor: Annotated[
        str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next_cursor` of the page before")
    ] = None,
) -> AuditPage:
    """Return what operators did to accounts, newest first. For administrators."""
    if caller.role != "admin":
        raise Problem("forbidden", "Only administrators read the audit log.")
    before = audit.FIRST_PAGE if cursor is None else read_cursor(cursor, int)[0]
    database: Database = request.app.state.database
    found = await database.read(audit.page, account, before, limit + 1)
    page = found[:limit]
    more = len(found) > limit
    next_cursor = write_cursor(page[-1]["id"]) if more else None
    return AuditPage(items=[AuditEntryView.of(row) for row in page], next_cursor=next_cursor)


def _grant(tx: Transaction, caller: Caller, account_id: str, body: NewGrant, key: str) -> tuple[GrantView, bool]:
    people.get(tx, account_id)
    if account_id == caller.account_id and caller.role != "admin":
        raise Problem("forbidden", "You can't give credits to yourself. Ask an administrator.")
    source = _source(caller, key)
    fresh = ledger.grant(tx, account_id, Grant(body.credits, "gift", source, body.reason))
    if fresh:
        details = {"credits": body.credits, "source": source}
        audit.write(tx, actor_of(tx, caller), "credits.granted", account_id, reason=body.reason, details=details)
    elif statement.granted(tx, source) != (account_id, body.credits, body.reason):
        message = "This Idempotency-Key came with another grant before. Use a new key for a new grant."
        raise Problem("idempotency_mismatch", message, errors=[FieldError("Idempotency-Key", message)])
    available = statement.balance(tx, account_id).available
    return GrantView(account=account_id, credits=body.credits, reason=body.reason, available=available), fresh


def _source(caller: Caller, key: str) -> str:
    """Return what names the grant in the ledger: customers read it, so it says neither the key nor whose it is."""
    return f"staff/{hashlib.sha256(f'{caller.account_id} {key}'.encode()).hexdigest()[:32]}"
