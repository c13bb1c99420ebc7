"""Prices that depend on options: what is quoted is what is held is what is captured, and again when tried again."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.jobs.control import cancel, retry
from penstock.jobs.flow import Flow
from penstock.jobs.order import Order, read_order
from penstock.jobs.submit import submit
from penstock.jobs.view import quote_of
from penstock.kit.caller import Caller
from penstock.product.schema import Product
from tests.support.flows import PRODUCT, fund, job_row, make_product, open_flow, settled, wallet, working

FUNDS = 1_000  # credits
OPTIONS = {
    "seconds": {"kind": "range", "title": "Seconds", "min": 2, "max": 8, "default": 5},
    "n": {"kind": "range", "title": "How many", "min": 0, "max": 4},
    "quality": {
        "kind": "choice",
        "title": "Quality",
        "choices": [{"value": "draft", "title": "Draft"}, {"value": "fine", "title": "Fine"}],
    },
    "sound": {"kind": "toggle", "title": "Sound"},
}
TABLE = {
    "base": 1,
    "per": {"seconds": 0.3, "n": 2},
    "by": {"quality": {"draft": 0, "fine": 3}, "sound": {"true": 5, "false": 0}},
}
SHAPED = make_product(
    operations={**PRODUCT["operations"], "film": PRODUCT["operations"]["echo"] | {"price": TABLE, "options": OPTIONS}}
)
CHOSEN = st.fixed_dictionaries(
    {},
    optional={
        "seconds": st.one_of(st.integers(2, 8), st.floats(2, 8), st.none()),
        "n": st.one_of(st.integers(0, 4), st.floats(0, 4)),
        "quality": st.sampled_from(["draft", "fine", None]),
        "sound": st.booleans(),
    },
)


def film(flow: Flow, options: dict[str, Any], product: Product = SHAPED) -> Order:
    return read_order(
        product,
        flow.providers,
        account_id="acc_1",
        plan="free",
        visitor=False,
        operation="film",
        inputs={},
        options=options,
        idempotency_key=None,
    )


@settings(max_examples=25)
@given(options=CHOSEN)
def test_what_is_quoted_is_held_and_captured(options: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        asyncio.run(one_life(Path(folder), options))


async def one_life(folder: Path, options: dict[str, Any]) -> None:
    """Cancel a job, try it again, and let it end: one price all the way."""
    async with open_flow(folder, product=SHAPED) as flow:
        await fund(flow, "acc_1", FUNDS)
        asked = film(flow, options)
        quote = await flow.database.read(lambda tx: quote_of(tx, flow, asked, known=True))
        first = (await submit(flow, asked)).job_id
        assert await wallet(flow) == (FUNDS - quote.price, quote.price)
        await cancel(flow, "acc_1", first)
        assert await wallet(flow) == (FUNDS, 0)

        caller = Caller(account_id="acc_1", role="customer", plan="free", visitor=False)
        again = (await retry(flow, caller, first, None)).job_id
        assert (await job_row(flow, again))["price"] == quote.price
        async with working(flow):
            assert (await settled(flow, again))["state"] == "succeeded"
        assert await wallet(flow) == (FUNDS - quote.price, 0)
        assert quote.credits_after == FUNDS - quote.price


async def test_a_job_keeps_the_price_under_which_it_was_accepted(flow: Flow) -> None:
    flow.products.product = SHAPED  # type: ignore[attr-defined]  # the tests' products
    accepted = await submit(flow, film(flow, {"quality": "fine", "n": 4}))
    dearer = make_product(operations={**PRODUCT["operations"], "film": {**PRODUCT["operations"]["echo"], "price": 90}})
    flow.products.product = dearer  # type: ignore[attr-defined]
    async with working(flow):
        assert (await settled(flow, accepted.job_id))["price"] == 14
    assert await wallet(flow) == (86, 0)
