"""Credits over HTTP. The app mounts this router under `/api/v1`; `app.state.database` is the database."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from penstock.kit.caller import RequiredCaller
from penstock.kit.cursors import MAX_CURSOR_CHARACTERS, read_cursor, write_cursor
from penstock.kit.database import Database
from penstock.ledger import statement
from penstock.ledger.schemas import CreditsView, EntryPage, EntryView

DEFAULT_PAGE_ROWS, MAX_PAGE_ROWS = 20, 100

router = APIRouter(tags=["credits"])


@router.get("/credits", summary="Show one's credits")
async def show_credits(request: Request, caller: RequiredCaller) -> CreditsView:
    """Return what can be spent, what is held for jobs under way, and the lots that it is made of."""
    database: Database = request.app.state.database
    return CreditsView.of(await database.read(statement.balance_with_lots, caller.account_id))


@router.get("/credits/entries", summary="List every change of one's credits")
async def list_credit_entries(
    request: Request,
    caller: RequiredCaller,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS, description="changes on one page")] = DEFAULT_PAGE_ROWS,
    cursor: Annotated[
        str | None, Query(max_length=MAX_CURSOR_CHARACTERS, description="`next_cursor` of the page before")
    ] = None,
) -> EntryPage:
    """Return changes with their reason and the job they belong to, newest first. All of them add up to the balance.

    A change that touches several lots has one entry for each.
    """
    before = statement.FIRST_PAGE if cursor is None else read_cursor(cursor, int)[0]
    database: Database = request.app.state.database
    found = await database.read(statement.entries, caller.account_id, before, limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return EntryPage(
        items=[EntryView.of(entry) for entry in page], next_cursor=write_cursor(page[-1].id) if more else None
    )
