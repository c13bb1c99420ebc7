"""Counting who goes to the page for donations. Paying is `POST /billing/checkout`, like everything that is bought."""

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from penstock.billing.donations import Place, note_click
from penstock.billing.money_endpoints import billing_of
from penstock.kit.caller import RequiredCaller

router = APIRouter(tags=["billing"])


class DonationClick(BaseModel):
    """Where somebody came from."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"place": "result"}]})

    place: Annotated[Place, Field(description="what led to the page for donations")]


@router.post("/billing/donation-clicks", status_code=204, summary="Count a look at the page for donations")
async def count_donation_click(request: Request, caller: RequiredCaller, body: DonationClick) -> None:
    """Note it once a day for each person and place; whoever gives afterwards is counted by the payment."""
    await billing_of(request).database.write(note_click, caller.account_id, body.place)
