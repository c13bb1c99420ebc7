"""What only those who run the server may see over HTTP: `/admin/...`, for admins and support."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from penstock.jobs import roster
from penstock.jobs.roster import Entry, WorkerState
from penstock.kit.caller import Caller, RequiredCaller
from penstock.kit.clock import rfc3339
from penstock.kit.database import Database
from penstock.kit.errors import Problem

STAFF = frozenset({"admin", "support"})
MAX_REASON_CHARACTERS = 500
Reason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON_CHARACTERS, pattern=r"^[^\x00]*$")
]
"""Why staff do something, in words for the customer; without the one character that PostgreSQL can't keep."""

router = APIRouter(prefix="/admin", tags=["admin"])


class WorkerView(BaseModel):
    """A worker as it was seen last."""

    name: str
    host: str
    pid: int = Field(description="the process on that host")
    state: WorkerState = Field(description="`silent`: not seen for a whole lease; its jobs are taken over")
    slots: int = Field(description="jobs that it would run at one time now")
    running: int = Field(description="jobs that it ran when it was seen last")
    started_at: str
    seen_at: str

    @classmethod
    def of(cls, entry: Entry) -> "WorkerView":
        """Show an entry of the roster."""
        times = {"started_at": rfc3339(entry.started_at), "seen_at": rfc3339(entry.seen_at)}
        return cls(**{**vars(entry), **times})


class WorkersView(BaseModel):
    """All workers, of every process on every machine."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "name": "wkr_0h3kz2v9q1m4x7c2b8n5j6d0s1a",
                            "host": "green-1",
                            "pid": 4711,
                            "state": "working",
                            "slots": 8,
                            "running": 3,
                            "started_at": "2026-11-20T09:30:00.250Z",
                            "seen_at": "2026-11-20T09:34:10.250Z",
                        }
                    ]
                }
            ]
        }
    )

    items: list[WorkerView]


def staff_only(caller: Caller) -> None:
    """Refuse everybody but staff. Errors: `forbidden`."""
    if caller.role not in STAFF:
        raise Problem("forbidden", "This is for those who run this service.")


@router.get("/workers", summary="List the workers")
async def list_workers(request: Request, caller: RequiredCaller) -> WorkersView:
    """Return every worker, the longest running first; one that has died is shown as silent for ten minutes."""
    staff_only(caller)
    database: Database = request.app.state.database
    return WorkersView(items=[WorkerView.of(entry) for entry in await database.read(roster.everybody)])
