"""What operators see of jobs and money, and customers never do."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.cli.main import make_app
from penstock.providers.seam import Finished, ProviderError
from tests.support.flows import FakeProvider, make_product
from tests.support.servers import Customer, Running, running

SECRETS = ("Asked", "passing over", "0.03", "perhaps billed", "quota of account 42", "prediction-7")


def _product() -> Any:
    operations = {
        "twofold": {
            "title": "Twofold",
            "description": "Has a second provider",
            "task": "echo",
            "inputs": {"words": {"kind": "text", "title": "Words", "required": False}},
            "price": 3,
            "route": ["main", "spare"],
        }
    }
    return make_product(operations=operations)


async def _staff(run: Running) -> Customer:
    boss = await run.customer()
    await run.services.database.write(run.services.accounts.set_role, boss.id, "support")
    return boss


def _failing(*_: object) -> Finished:
    raise ProviderError("exhausted", "quota of account 42 is used up", cost_microdollars=2_500, cost_estimated=True)


def _working(*_: object) -> Finished:
    return Finished(values={"said": "yes"}, cost_microdollars=30_000, tokens=1_234)


async def test_a_job_with_its_attempts_its_route_and_its_margin(tmp_path: Path) -> None:
    main = FakeProvider("main", _failing, billed=True)
    async with running(tmp_path, main, FakeProvider("spare", _working, billed=True), product=_product()) as run:
        ann, boss = await run.customer(gift=10), await _staff(run)
        job = await ann.submit("twofold", words="my secret words")
        hers = await ann.ended(job["id"])
        answer = await boss.get(f"/admin/jobs/{job['id']}")
        seen = answer.json()
        refused = await ann.get(f"/admin/jobs/{job['id']}")
        stranger = await run.client.get(f"/api/v1/admin/jobs/{job['id']}")
        nothing = await boss.get("/admin/jobs/job_unknown")
        everything_of_hers = [
            json.dumps((await ann.get(path)).json())
            for path in (f"/jobs/{job['id']}", "/jobs", "/credits/entries", "/usage", "/me")
        ]

    assert answer.status_code == 200
    assert (seen["account"], seen["email"], seen["state"], seen["claims"]) == (ann.id, ann.email, "succeeded", 1)
    first, second = seen["attempts"]
    assert (first["provider"], first["state"], first["failure"]) == ("main", "failed", "exhausted")
    assert (first["detail"], first["cost_usd"], first["cost_estimated"]) == (
        "quota of account 42 is used up",
        "0.0025",
        True,
    )
    assert (second["provider"], second["state"], second["cost_usd"], second["tokens"]) == (
        "spare",
        "finished",
        "0.03",
        1234,
    )
    assert seen["route"] == ["Asked spare, passing over main (failed in this try)."]
    assert (seen["credits_earned"], seen["cost_usd"], seen["cost_estimated"]) == (3, "0.0325", True)
    assert (seen["earned_usd"], seen["margin_usd"]) == ("0", "-0.0325"), (
        "gifts and a free plan's credits brought nothing"
    )
    assert "my secret words" not in answer.text
    assert hers["status"] == "succeeded"
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (stranger.status_code, nothing.status_code) == (401, 404)
    for body in everything_of_hers:
        assert not [word for word in SECRETS if word in body], "nothing of this is for customers"


async def test_what_is_not_known_is_said_to_be_unknown(tmp_path: Path) -> None:
    def lost(*_: object) -> Finished:
        raise ProviderError("unknown", "sent, and no answer came")

    async with running(tmp_path, FakeProvider("main", lost, billed=True)) as run:
        ann, boss = await run.customer(gift=10), await _staff(run)
        job = await ann.submit()
        await ann.ended(job["id"])
        seen = (await boss.get(f"/admin/jobs/{job['id']}")).json()
        costs = (await boss.get("/admin/costs")).json()

    assert (seen["state"], seen["credits_earned"], seen["earned_usd"]) == ("failed", 0, "0")
    assert (seen["cost_usd"], seen["cost_unknown"], seen["margin_usd"]) == ("0", 1, None)
    assert seen["attempts"][0]["cost_usd"] is None
    assert seen["route"] == ["Nobody was passed over."]
    assert [(line["attempts"], line["failed"], line["cost_unknown"]) for line in costs["items"]] == [(1, 1, 1)]


async def test_costs_by_day_operation_and_provider(tmp_path: Path) -> None:
    main = FakeProvider("main", _failing, billed=True)
    async with running(tmp_path, main, FakeProvider("spare", _working, billed=True), product=_product()) as run:
        ann, boss = await run.customer(gift=20), await _staff(run)
        for _ in range(2):
            await ann.ended((await ann.submit("twofold"))["id"])
        answer = await boss.get("/admin/costs?days=2")
        wrong = await boss.get("/admin/costs?days=0")
        refused = await ann.get("/admin/costs")
        database, now = run.services.database, run.services.clock.now()
        await database.write(lambda tx: tx.run("UPDATE jobs SET created_at = :then", then=now - 5 * 86_400))
        gone = (await boss.get("/admin/costs?days=2")).json()

    body = answer.json()
    lines = {line["provider"]: line for line in body["items"]}
    asked = len(main.sent)
    assert {line["operation"] for line in body["items"]} == {"twofold"}
    spare = lines["spare"]
    assert (spare["attempts"], spare["failed"], spare["succeeded"], spare["credits_earned"]) == (2, 0, 2, 6)
    assert (spare["cost_usd"], spare["cost_estimated_usd"]) == ("0.06", "0")
    failed = lines["main"]
    assert (failed["attempts"], failed["failed"], failed["succeeded"], failed["credits_earned"]) == (asked, asked, 0, 0)
    assert float(failed["cost_usd"]) == float(failed["cost_estimated_usd"]) == asked * 0.0025
    assert float(body["cost_usd"]) == pytest.approx(0.06 + asked * 0.0025)
    assert body["credits_earned"] == 6
    assert wrong.status_code == 422
    assert refused.status_code == 403
    assert gone["items"] == [], "older days are left out"


@pytest.mark.embedded
async def test_the_command_line_shows_the_same_at_three_in_the_morning(tmp_path: Path) -> None:
    main = FakeProvider("main", _failing, billed=True)
    async with running(tmp_path, main, FakeProvider("spare", _working, billed=True), product=_product()) as run:
        ann, boss = await run.customer(gift=10), await _staff(run)
        job = await ann.submit("twofold")
        await ann.ended(job["id"])
        over_http = (await boss.get(f"/admin/jobs/{job['id']}")).json()

        def typed(*arguments: str) -> Any:
            return CliRunner().invoke(make_app(), ["jobs", "show", *arguments, "--data", str(tmp_path)])

        shown = await asyncio.to_thread(typed, job["id"])
        as_json = await asyncio.to_thread(typed, job["id"], "--json")
        nothing = await asyncio.to_thread(typed, "job_unknown")

    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert lines[0] == f"{job['id']}  succeeded"
    assert f"  twofold for {ann.email} (free), product v1" in lines
    assert "  earned 3 of 3 credits, paid with $0; cost $0.0325 (some of it estimated); margin -$0.0325" in lines
    assert "  Asked spare, passing over main (failed in this try)." in lines
    assert "  1. main  failed: exhausted, cost $0.0025 (estimated)" in lines
    assert "     quota of account 42 is used up" in lines
    assert "  1. spare  finished, cost $0.03, 1,234 tokens" in lines
    assert json.loads(as_json.stdout) == over_http
    assert nothing.exit_code == 1
    assert "job" in nothing.stderr


def test_jobs_of_a_product_that_was_never_started(tmp_path: Path) -> None:
    result = CliRunner().invoke(make_app(), ["jobs", "show", "job_1", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert f"There is no database of Penstock at {tmp_path}" in result.stderr
