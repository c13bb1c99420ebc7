"""One account as staff see and change it: `/admin/accounts/{id}`. Limits of its own, and blocks with reason and end.

A change stands in the audit log with who made it. Only administrators change accounts of staff, their own included;
nobody can block themselves.
"""

from datetime import UTC, datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from penstock.accounts import allowances, people
from penstock.accounts.schemas import AccountView
from penstock.accounts.service import AccountsService
from penstock.app.admin_credits import actor_of
from penstock.app.operators import STAFF, Reason, staff_only
from penstock.kit.caller import Caller, RequiredCaller
from penstock.kit.clock import optional_rfc3339
from penstock.kit.database import Database, Transaction
from penstock.kit.errors import FieldError, Problem
from penstock.observability import audit

LATEST = datetime(9999, 1, 1, tzinfo=UTC)  # a block that ends: later times can't be told in every zone

Jobs = Annotated[int, Field(ge=1, le=1_000_000)]

log = structlog.get_logger()
router = APIRouter(prefix="/admin", tags=["admin"])


class OwnLimits(BaseModel):
    """Limits of one account, in jobs; null: the plan decides."""

    running: Annotated[int, Field(ge=1, le=100)] | None = None
    jobs_per_hour: Jobs | None = None
    jobs_per_day: Jobs | None = None


class Block(BaseModel):
    """Why an account may do nothing, and until when."""

    reason: Reason = Field(description="for the customer to read")
    until: datetime | None = Field(default=None, description="with a time zone; null: for good")


class AccountChange(BaseModel):
    """What staff change of an account; what is left out stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"limits": {"jobs_per_day": 500, "jobs_per_hour": None}},
                {"block": {"reason": "Chargebacks; write to us", "until": "2027-01-01T00:00:00Z"}},
                {"block": None},
            ]
        }
    )

    limits: OwnLimits | None = Field(default=None, description="those that are left out stay; null gives one back")
    block: Block | None = Field(default=None, description="null ends a block")


class AdminAccountView(AccountView):
    """An account as staff see it."""

    limits: OwnLimits = Field(description="its own, in place of the plan's")
    block_reason: str | None
    blocked_until: str | None


@router.get("/accounts/{account_id}", summary="Show an account")
async def show_account(request: Request, caller: RequiredCaller, account_id: str) -> AdminAccountView:
    """Return an account with its own limits and its block."""
    staff_only(caller)
    database: Database = request.app.state.database
    return await database.read(_view, account_id)


@router.patch("/accounts/{account_id}", summary="Change an account")
async def change_account(
    request: Request, caller: RequiredCaller, account_id: str, body: AccountChange
) -> AdminAccountView:
    """Give an account limits of its own, or block it. Its jobs that were accepted go on; it can send no more."""
    staff_only(caller)
    database: Database = request.app.state.database
    view = await database.write(_change, request.app.state.accounts, caller, account_id, body)
    log.info("account.changed", by=caller.account_id, account=account_id, fields=sorted(body.model_fields_set))
    return view


def _change(
    tx: Transaction, accounts: AccountsService, caller: Caller, account_id: str, body: AccountChange
) -> AdminAccountView:
    if people.get(tx, account_id).role in STAFF and caller.role != "admin":
        raise Problem("forbidden", "Only administrators can change accounts of staff, also your own.")
    if body.limits is not None and body.limits.model_fields_set:
        given = body.limits.model_dump(include=body.limits.model_fields_set)
        own = allowances.change_limits(tx, account_id, given)
        details = {"given": given, "own": own}
        audit.write(tx, actor_of(tx, caller), "account.limits", account_id, details=details)
    if "block" in body.model_fields_set:
        _block(tx, accounts, caller, account_id, body.block)
    return _view(tx, account_id)


def _block(tx: Transaction, accounts: AccountsService, caller: Caller, account_id: str, block: Block | None) -> None:
    if block is None:
        accounts.unblock(tx, account_id)
        audit.write(tx, actor_of(tx, caller), "account.unblocked", account_id)
        return
    if account_id == caller.account_id:
        raise Problem("forbidden", "You can't block yourself.")
    until = None if block.until is None else _end(block.until, tx.now)
    accounts.block(tx, account_id, block.reason, until)
    details = {"until": optional_rfc3339(until)}
    audit.write(tx, actor_of(tx, caller), "account.blocked", account_id, reason=block.reason, details=details)


def _end(until: datetime, now: float) -> float:
    """Return when a block ends, in seconds since 1970 UTC. Errors: `invalid_input`."""
    if until.tzinfo is None or not now < until.timestamp() <= LATEST.timestamp():
        message = "Write a time to come, with its time zone, such as 2027-01-01T00:00:00Z."
        raise Problem("invalid_input", message, errors=[FieldError("block.until", message)])
    return until.timestamp()


def _view(tx: Transaction, account_id: str) -> AdminAccountView:
    account = people.get(tx, account_id)
    return AdminAccountView(
        **AccountView.of(account).model_dump(),
        limits=OwnLimits(**allowances.own_limits(tx, account_id)),
        block_reason=account.block_reason,
        blocked_until=optional_rfc3339(account.blocked_until),
    )
