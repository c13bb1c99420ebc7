"""What a job may cost: providers that would make it dearer than the product file allows are not asked."""

import json
from typing import Any

import pytest

from penstock.jobs import costs
from penstock.jobs.costs import RECENT_S
from penstock.product.schema import Product
from penstock.providers.seam import Finished
from tests.support.flows import PRODUCT, rows, wallet
from tests.unit.jobs.scene import Scene, bill, failing

CENT = 10_000  # microdollars


def priced(scene: Scene, *, main: str = "0.04", spare: str = "0.01", **operation: Any) -> None:
    """Let both providers bill at these prices, and change `twofold`."""
    providers = {"main": {"adapter": "local", "cost_usd": main}, "spare": {"adapter": "local", "cost_usd": spare}}
    operations = {**PRODUCT["operations"], "twofold": {**PRODUCT["operations"]["twofold"], **operation}}
    product = Product.model_validate({**PRODUCT, "providers": providers, "operations": operations})
    scene.flow.products.product = product  # type: ignore[attr-defined]
    for provider in scene.providers:
        bill(provider)
        provider.act = lambda *_: Finished(cost_microdollars=None)


def costing(microdollars: int) -> Any:
    return lambda *_: Finished(cost_microdollars=microdollars)


async def why(scene: Scene) -> list[dict[str, Any]]:
    (row,) = await rows(scene.flow, "SELECT route_why FROM jobs WHERE route_why IS NOT NULL")
    told: list[dict[str, Any]] = json.loads(row["route_why"])
    return told


async def test_without_a_ceiling_the_first_is_asked_whatever_it_costs(scene: Scene) -> None:
    priced(scene, main="99")
    row = await scene.run("twofold")
    assert (row["provider"], row["route_why"]) == ("main", None)


@pytest.mark.parametrize(
    ("operation", "provider"),
    [
        ({"max_cost_usd": "0.04"}, "main"),
        ({"max_cost_usd": "0.039999"}, "spare"),
        ({"route": [{"provider": "main", "max_cost_usd": "0.039999"}, "spare"]}, "spare"),
        ({"route": ["main", {"provider": "spare", "max_cost_usd": "0"}]}, "main"),
        ({"route": [{"provider": "main", "max_cost_usd": "0.02"}, "spare"], "max_cost_usd": "1"}, "spare"),
        ({"route": [{"provider": "main", "max_cost_usd": "1"}, "spare"], "max_cost_usd": "0.02"}, "spare"),
    ],
)
async def test_a_provider_above_the_ceiling_is_passed_over(
    scene: Scene, operation: dict[str, Any], provider: str
) -> None:
    priced(scene, **operation)
    assert (await scene.run("twofold"))["provider"] == provider


async def test_it_is_stored_for_operators_who_was_skipped_and_why(scene: Scene) -> None:
    priced(scene, max_cost_usd="0.03")
    await scene.run("twofold")
    reason = "over its cost ceiling: 0 spent + 0.04 expected > 0.03"
    assert await why(scene) == [{"provider": "spare", "skipped": {"main": reason}}]


async def test_what_a_call_was_measured_to_cost_goes_before_the_file(scene: Scene) -> None:
    priced(scene, main="0.001", max_cost_usd="0.02")
    main, _ = scene.providers
    main.act = costing(3 * CENT)
    assert [(await scene.run("twofold"))["provider"] for _ in range(2)] == ["main", "spare"]
    scene.clock.advance(RECENT_S + 1)
    assert (await scene.run("twofold"))["provider"] == "main", "measured too long ago"


async def test_what_another_operation_cost_says_nothing(scene: Scene) -> None:
    priced(scene, main="0.001", max_cost_usd="0.02")
    scene.providers[0].act = costing(3 * CENT)
    await scene.run("echo")
    assert (await scene.run("twofold"))["provider"] == "main"


@pytest.mark.parametrize(
    "answer", [Finished(cost_microdollars=3 * CENT, cost_estimated=True), Finished(cost_microdollars=None)]
)
async def test_an_estimate_is_no_measurement(scene: Scene, answer: Finished) -> None:
    priced(scene, main="0.001", max_cost_usd="0.02")
    scene.providers[0].act = lambda *_: answer
    assert [(await scene.run("twofold"))["provider"] for _ in range(2)] == ["main", "main"]


async def test_what_the_job_has_cost_already_counts(scene: Scene) -> None:
    priced(scene, max_cost_usd="0.045")
    main, spare = scene.providers
    main.act = failing("broken", cost_microdollars=4 * CENT)
    row = await scene.run("twofold")
    assert (row["state"], spare.sent) == ("failed", [])
    assert (await why(scene))[-1]["skipped"] == {
        "main": "failed in this try",
        "spare": "over its cost ceiling: 0.04 spent + 0.01 expected > 0.045",
    }
    assert await wallet(scene.flow) == (1_000, 0)


async def test_what_was_perhaps_billed_counts_as_a_call(scene: Scene) -> None:
    priced(scene, max_cost_usd="0.045", allow_second_charge=True)
    main, spare = scene.providers
    main.act = failing("unknown")
    row = await scene.run("twofold")
    assert row["state"] == "ready"
    scene.clock.advance(300)
    assert (await scene.again(row["id"]))["state"] == "failed"
    assert (len(main.sent), len(spare.sent)) == (1, 0)


async def test_a_provider_that_bills_nothing_is_never_too_dear(scene: Scene) -> None:
    priced(scene, max_cost_usd="0")
    scene.providers[1].billed = False
    assert (await scene.run("twofold"))["provider"] == "spare"


async def test_the_lower_of_two_ceilings_holds(scene: Scene) -> None:
    priced(scene, route=[{"provider": "main", "max_cost_usd": "0.02"}, "spare"], max_cost_usd="0.03")
    await scene.submit("twofold")
    assert costs.ceilings(await scene.claim()) == {"main": 20_000, "spare": 30_000}
