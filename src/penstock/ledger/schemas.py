"""The JSON of credits."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from penstock.kit.clock import optional_rfc3339, rfc3339
from penstock.ledger.statement import Balance, Entry

_LOT_EXAMPLE: dict[str, Any] = {"kind": "plan", "remaining": 21, "granted": 25, "expires_at": None}
_ENTRY_EXAMPLE: dict[str, Any] = {
    "id": "4711",
    "kind": "hold",
    "amount": -2,
    "held": 2,
    "debt": 0,
    "reason": "Restore",
    "source": "stripe/in_1RyT/il_1RyT",
    "cause": None,
    "job": "job_0h3kz4a7e9k2v5q8w1n3x6c0b4m",
    "created_at": "2026-11-20T09:30:00.250Z",
}


class LotView(BaseModel):
    """Credits of one origin."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LOT_EXAMPLE]})

    kind: str = Field(description="`plan`, `top_up`, `gift` or `deposit`")
    remaining: int
    granted: int
    expires_at: str | None = Field(description="null: they stay")


class CreditsView(BaseModel):
    """A customer's credits."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"available": 21, "held": 2, "debt": 0, "lots": [_LOT_EXAMPLE]}]}
    )

    available: int = Field(description="credits that can be spent")
    held: int = Field(description="credits set aside for jobs that have not ended")
    debt: int = Field(description="credits owed after a refund; paid off by the next ones that come in")
    lots: list[LotView] = Field(description="what `available` is made of, in the order in which it is spent")

    @classmethod
    def of(cls, balance: Balance) -> "CreditsView":
        """Show a balance."""
        lots = [
            LotView(
                kind=lot.kind,
                remaining=lot.remaining,
                granted=lot.granted,
                expires_at=optional_rfc3339(lot.expires_at),
            )
            for lot in balance.lots
        ]
        return cls(available=balance.available, held=balance.held, debt=balance.debt, lots=lots)


class EntryView(BaseModel):
    """One change of a customer's credits."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ENTRY_EXAMPLE]})

    id: str
    kind: str = Field(
        description="`grant`, `hold`, `capture` (spent), `release` (given back), `expire`, `forfeit`, "
        "`claw_back` (taken back after a refund), `repay` (paid off what was owed)"
    )
    amount: int = Field(description="by how much `available` changed; 0 where only held credits were spent")
    held: int = Field(description="by how much `held` changed")
    debt: int = Field(description="by how much `debt` changed")
    reason: str
    job: str | None = Field(description="the job that it belongs to")
    source: str | None = Field(
        description="what the credits came from; those of a payment begin with its provider and id: `stripe/in_1…`"
    )
    cause: str | None = Field(
        description="for what credits were taken back, also from others or as debt; begins as `source` does"
    )
    created_at: str

    @classmethod
    def of(cls, entry: Entry) -> "EntryView":
        """Show an entry."""
        return cls(
            id=str(entry.id),
            kind=entry.kind,
            amount=entry.available,
            held=entry.held,
            debt=entry.debt,
            reason=entry.reason,
            job=entry.job_id,
            source=entry.source,
            cause=entry.cause,
            created_at=rfc3339(entry.created_at),
        )


class EntryPage(BaseModel):
    """Changes, newest first."""

    items: list[EntryView]
    next_cursor: str | None = Field(description="send it as `cursor` for the next page; null on the last one")
