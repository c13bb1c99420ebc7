"""What staff change of one account: limits of its own, and blocks; from the interface and the command line."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from penstock.cli import main
from penstock.kit.caller import Role
from tests.support.servers import API, Customer, Running, running


async def staff(run: Running, role: Role = "support") -> Customer:
    customer = await run.customer()
    await run.services.database.write(run.services.accounts.set_role, customer.id, role)
    return customer


async def change(by: Customer, account: str, **body: object) -> httpx2.Response:
    return await by.client.patch(f"{API}/admin/accounts/{account}", json=body, headers=by.headers)


async def test_limits_of_its_own_hold_in_place_of_the_plans(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer, support = await run.customer(gift=100), await staff(run)
        given = await change(support, customer.id, limits={"running": 2, "jobs_per_day": 3})
        jobs = [await customer.submit() for _ in range(3)]
        refused = await customer.post("/jobs", {"operation": "echo"})
        ready = await run.services.database.read(lambda tx: tx.value("SELECT count(*) FROM jobs WHERE state = 'ready'"))
        me = (await customer.get("/me")).json()["limits"]
        usage = (await customer.get("/usage")).json()
        back = await change(support, customer.id, limits={"jobs_per_day": None})
        more = await customer.post("/jobs", {"operation": "echo"})

    assert given.json()["limits"] == {"running": 2, "jobs_per_hour": None, "jobs_per_day": 3}
    assert len(jobs) == 3
    assert ready == 2  # the plan runs one at a time
    assert (refused.status_code, refused.json()["code"]) == (429, "plan_limit")
    assert "3 jobs a day" in refused.json()["detail"]
    assert (me["running"], me["jobs_per_day"]) == (2, 3)
    assert (usage["day"]["limit"], usage["running"]["limit"]) == (3, 2)
    assert back.json()["limits"] == {"running": 2, "jobs_per_hour": None, "jobs_per_day": None}
    assert more.status_code == 202


async def test_the_next_job_is_let_in_by_limits_of_its_own(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        customer, support = await run.customer(gift=100), await staff(run)
        run.provider.gate = asyncio.Event()
        await change(support, customer.id, limits={"running": 2})
        jobs = [(await customer.submit())["id"] for _ in range(4)]
        run.provider.gate.set()
        ended = [(await customer.ended(job))["status"] for job in jobs]

    assert ended == ["succeeded"] * 4


async def test_a_block_says_why_and_until_when_and_what_was_accepted_goes_on(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        customer, support = await run.customer(), await staff(run)
        run.provider.gate = asyncio.Event()
        job = (await customer.submit())["id"]
        blocked = await change(support, customer.id, block={"reason": "Chargebacks", "until": "2100-01-01T00:00:00Z"})
        refused = await customer.get("/me")
        run.provider.gate.set()
        await change(support, customer.id, block=None)
        ended = await customer.ended(job)

    assert (blocked.json()["block_reason"], blocked.json()["blocked_until"]) == (
        "Chargebacks", "2100-01-01T00:00:00.000Z",
    )  # fmt: skip
    assert (refused.status_code, refused.json()["code"]) == (403, "blocked")
    assert "until 01 January 2100" in refused.json()["detail"]
    assert "Chargebacks" in refused.json()["detail"]
    assert ended["status"] == "succeeded"


@pytest.mark.embedded
async def test_who_may_change_whom(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer, support, admin = await run.customer(), await staff(run), await staff(run, "admin")
        colleague = await staff(run)
        block = {"reason": "Because"}
        await change(admin, colleague.id, block=block)
        answers = {
            "customer": await change(customer, support.id, block=block),
            "oneself": await change(admin, admin.id, block=block),
            "support, an admin": await change(support, admin.id, block=block),
            "support, a colleague": await change(support, colleague.id, block=None),
            "support, oneself": await change(support, support.id, limits={"jobs_per_day": 1_000_000}),
            "nobody": await change(support, "acc_none", limits={"running": 1}),
            "too many": await change(support, customer.id, limits={"running": 101}),
            "past": await change(support, customer.id, block={"reason": "x", "until": "2000-01-01T00:00:00Z"}),
            "after all time": await change(
                support, customer.id, block={"reason": "x", "until": "9999-12-31T23:59:59-14:00"}
            ),
            "no zone": await change(support, customer.id, block={"reason": "x", "until": "2100-01-01T00:00:00"}),
        }
        looked = await customer.get(f"/admin/accounts/{customer.id}")
        right = await change(admin, support.id, block=block)

    assert {who: answer.status_code for who, answer in answers.items()} == {
        "customer": 403, "oneself": 403, "support, an admin": 403,
        "support, a colleague": 403, "support, oneself": 403, "nobody": 404, "too many": 422, "past": 422,
        "after all time": 422, "no zone": 422,
    }  # fmt: skip
    assert looked.status_code == 403
    assert right.status_code == 200


@pytest.mark.embedded
async def test_the_command_line_sets_limits_too(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer = await run.customer()
        told = await asyncio.to_thread(limits, tmp_path, customer.email, "--running", "3", "--jobs-per-hour", "7")
        me = (await customer.get("/me")).json()["limits"]
        back = await asyncio.to_thread(limits, tmp_path, customer.email, "--running", "0", "--jobs-per-hour", "0")
        wrong = await asyncio.to_thread(limits, tmp_path, customer.email, "--running", "-1")

    assert "running 3, jobs_per_hour 7" in told
    assert (me["running"], me["jobs_per_hour"]) == (3, 7)
    assert "Its plan decides" in back
    assert "from 1 to 100" in wrong


async def test_leaving_everywhere_ends_every_session_and_no_key(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer = await run.customer()
        key = (await customer.post("/me/keys", {"name": "Batch", "scopes": ["read", "write"]})).json()["key"]
        by_key = {"authorization": f"Bearer {key}"}
        refused = await run.client.post(f"{API}/auth/logout/everywhere", headers=by_key)
        left = await customer.post("/auth/logout/everywhere")
        after = await customer.get("/me")
        program = await run.client.get(f"{API}/me", headers=by_key)

    assert (refused.status_code, left.status_code, after.status_code, program.status_code) == (403, 204, 401, 200)


def limits(data: Path, email: str, *options: str) -> str:
    result = CliRunner().invoke(main.make_app(), ["admin", "limits", email, *options, "--data", str(data)])
    return result.output + str(result.exception or "")
