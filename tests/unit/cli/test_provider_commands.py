"""`penstock providers test`: what an operator is told of keys, models and prices, before stand-ins for the vendors."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from penstock.app import provider_trial
from penstock.app.provider_trial import Finding, try_providers
from penstock.cli.main import make_app
from penstock.product.structure import as_toml
from tests.support.ports import free_port
from tests.support.vendors import google, stability
from tests.support.vendors.case import KEY_NAME, Case
from tests.support.vendors.cases import CASES, document_of, product_of
from tests.support.vendors.google import GoogleStandIn
from tests.support.vendors.stability import StabilityStandIn
from tests.support.vendors.wire import KEY, Answer, StandIn, page


@pytest.fixture(params=CASES, ids=lambda case: case.label)
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Case, StandIn]]:
    case: Case = request.param
    async with case.stand_in() as vendor:
        yield case, vendor


async def found(case: Case, vendor: StandIn, key: str = KEY, *, paid: bool = False) -> Finding:
    (finding,) = await try_providers(product_of(case, vendor.url), {KEY_NAME: key}, paid=paid)
    assert key.strip() == "" or key not in repr(finding)
    return finding


async def test_who_is_right_answers_and_nothing_is_billed(stage: tuple[Case, StandIn]) -> None:
    case, vendor = stage
    finding = await found(case, vendor)
    assert (finding.state, finding.model, finding.remedy) == ("answers", case.settings["model"], None)
    assert finding.ms is not None
    assert "$0.25 a call" in finding.price
    assert (vendor.billed, vendor.orders) == (0, [])


async def test_a_refused_key_is_told_by_its_variable_with_what_to_do(stage: tuple[Case, StandIn]) -> None:
    finding = await found(*stage, key="another-key")
    assert finding.state == "fails"
    assert KEY_NAME in finding.detail
    assert finding.remedy == f"Make a new key at the vendor, and set {KEY_NAME} to it."


async def test_a_missing_key_is_no_failure_but_off(stage: tuple[Case, StandIn]) -> None:
    finding = await found(*stage, key=" ")
    assert (finding.state, finding.ms, stage[1].asked) == ("off", None, [])
    assert finding.remedy == f"Set {KEY_NAME} to its key to switch it on."


async def test_nobody_there(stage: tuple[Case, StandIn]) -> None:
    case, vendor = stage
    vendor.url = f"http://127.0.0.1:{free_port()}"
    finding = await found(case, vendor)
    assert (finding.state, "can't be reached" in finding.detail) == ("fails", True)
    assert finding.remedy is not None
    assert "base_url" in finding.remedy


@pytest.mark.parametrize("case", [case for case in CASES if case.adapter != "stability"], ids=lambda case: case.label)
async def test_a_model_that_is_not_there_is_named(case: Case) -> None:
    async with case.stand_in() as vendor:
        settings = {**document_of(case, vendor.url)["providers"]["vendor"], "model": "nobody/knows-this"}
        product = product_of(case, vendor.url).model_copy(
            update={"providers": {"vendor": case.settings_at(vendor.url, **settings)}}
        )
        (finding,) = await try_providers(product, {KEY_NAME: KEY}, paid=False)
    assert finding.state == "fails"
    assert "nobody/knows-this" in finding.detail
    assert finding.remedy == "Put providers.vendor.model or base_url right."


async def test_a_real_call_is_made_once_and_its_cost_is_told(
    stage: tuple[Case, StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_trial, "POLL_FIRST_S", 0.0)
    case, vendor = stage
    if isinstance(vendor, StabilityStandIn):
        vendor.looks_needed = 0  # the vendor wants 10 s between two looks
    finding = await found(case, vendor, paid=True)
    assert (finding.state, finding.detail.startswith("a real")) == ("answers", False)
    assert finding.call is not None
    assert (finding.call.cost_microdollars, finding.call.cost_estimated) == case.cost
    assert (len(vendor.orders), vendor.billed) == (1, 1)


async def test_a_real_call_that_fails_says_why() -> None:
    async with GoogleStandIn() as vendor:
        vendor.faults.append(page(503))
        finding = await found(google.CASE, vendor, paid=True)
    assert (finding.state, finding.call) == ("fails", None)
    assert finding.detail.startswith("a real call failed: ")
    assert finding.remedy is not None


async def test_used_up_credit_is_seen_without_paying() -> None:
    async with StabilityStandIn() as vendor:
        vendor.balance = 0
        finding = await found(stability.CASE, vendor)
    assert (finding.state, finding.remedy) == ("fails", "Buy credits at the vendor.")


async def test_a_limit_is_no_wrong_key() -> None:
    async with GoogleStandIn() as vendor:
        vendor.looks.append(Answer(429, b"{}"))
        finding = await found(google.CASE, vendor)
    assert (finding.state, finding.remedy) == ("fails", "The key is right: try again later.")


# ---- the command --------------------------------------------------------------------------------------------------


async def invoked(folder: Path, document: dict[str, Any], *arguments: str, key: str = KEY) -> Result:
    file = folder / "product.toml"
    file.write_text("\n".join(f"{name} = {as_toml(value)}" for name, value in document.items()))
    command = ["providers", "test", str(file), *arguments]
    done = await asyncio.to_thread(CliRunner().invoke, make_app(), command, env={KEY_NAME: key})
    assert KEY not in done.output
    return done


async def test_it_prints_a_line_for_each_and_exits_with_0(tmp_path: Path) -> None:
    async with GoogleStandIn() as vendor:
        document = document_of(google.CASE, vendor.url)
        off = {"adapter": "anthropic", "key_env": "NOT_SET_HERE", "model": "claude-haiku-5-5"}
        document["providers"] |= {"writer": off}
        done = await invoked(tmp_path, document)
    assert done.exit_code == 0, done.output
    first, second = done.output.splitlines()
    assert first.startswith("vendor  answers  gemini-nano-banana-2.1; ")
    assert "about $0.25 a call, $1.5 in and $30 out for a million tokens" in first
    assert second == "writer  off      NOT_SET_HERE is not set. Set NOT_SET_HERE to its key to switch it on."


async def test_one_that_is_on_and_fails_makes_it_exit_with_1(tmp_path: Path) -> None:
    async with GoogleStandIn() as vendor:
        done = await invoked(tmp_path, document_of(google.CASE, vendor.url), key="wrong-key")
    assert done.exit_code == 1
    assert f"{KEY_NAME} is not accepted" in done.output
    assert "wrong-key" not in done.output


async def test_a_real_call_is_told_with_its_price(tmp_path: Path) -> None:
    async with GoogleStandIn() as vendor:
        done = await invoked(tmp_path, document_of(google.CASE, vendor.url), "--paid")
    assert done.exit_code == 0, done.output
    assert "ms and cost $0.03" in done.output


async def test_machines_read_it_as_json(tmp_path: Path) -> None:
    async with GoogleStandIn() as vendor:
        done = await invoked(tmp_path, document_of(google.CASE, vendor.url), "--json")
    (finding,) = json.loads(done.output)
    assert (finding["name"], finding["state"], finding["call"]) == ("vendor", "answers", None)


async def test_a_wrong_file_is_told_as_by_check(tmp_path: Path) -> None:
    done = await invoked(tmp_path, {"name": "x"})
    assert done.exit_code == 2
    assert "is missing" in done.output
