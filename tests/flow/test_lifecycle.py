"""A job's whole way over HTTP, from the request to the settled credits."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from penstock.providers.seam import Attempt, Finished, ProviderError, Request
from tests.support.flows import FakeProvider
from tests.support.servers import Customer, Running, running

PLAN_CREDITS = 3  # what the free plan of the test product brings
JOB_KEYS = {  # api.md
    "id", "operation", "status", "stage", "progress", "position", "wait", "price", "plan", "inputs", "options",
    "result", "output", "error", "attempts", "created_at", "started_at", "finished_at", "product_version",
}  # fmt: skip


def refusing(request: Request, attempt: Attempt) -> Finished:
    raise ProviderError("invalid", "no good", message="Please write something nicer.")


async def entries(customer: Customer) -> list[dict[str, Any]]:
    """Return every change of a customer's credits, newest first, page by page."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = (
            await customer.get("/credits/entries", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_a_job_is_held_done_and_paid(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        ann = await run.customer()
        answer = await ann.post("/jobs", {"operation": "echo", "inputs": {"words": "hello"}})
        accepted = answer.json()
        done = await ann.ended(accepted["id"])
        credits_left = await ann.credits()

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/jobs/{accepted['id']}"
    assert set(accepted) >= JOB_KEYS
    assert accepted["status"] in {"queued", "running", "succeeded"}
    assert (accepted["price"], accepted["plan"], accepted["product_version"]) == (2, "free", "v1")
    assert done["status"] == "succeeded"
    assert done["output"] == {"said": {"words": "hello"}}
    assert (done["attempts"], done["position"], done["wait"], done["error"]) == (1, None, None, None)
    assert credits_left == (PLAN_CREDITS - 2, 0)


async def test_every_credit_of_a_job_is_explained(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        ann = await run.customer(gift=10)
        job = await ann.ended((await ann.submit())["id"])
        changes = await entries(ann)
        available, held = await ann.credits()

    assert sum(change["amount"] for change in changes) == available
    assert sum(change["held"] for change in changes) == held == 0
    assert [change["kind"] for change in changes] == ["capture", "hold", "grant", "grant"]
    assert [change["job"] for change in changes] == [job["id"], job["id"], None, None]
    assert all(change["reason"] for change in changes)


async def test_queued_jobs_know_their_place(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann, bob = await run.customer(), await run.customer()
        first, second = await ann.submit(), await bob.submit()
        looked = await bob.job(second["id"])

    assert (first["status"], first["position"]) == ("queued", 1)
    assert (second["status"], second["position"]) == ("queued", 2)
    assert looked["position"] == 2
    assert 0 <= looked["wait"]["low_s"] <= looked["wait"]["high_s"]


async def test_a_queued_job_is_cancelled_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        job = await ann.submit()
        held = await ann.credits()
        answer = await ann.post(f"/jobs/{job['id']}/cancel")
        again = await ann.post(f"/jobs/{job['id']}/cancel")
        after = await ann.credits()

    assert held == (PLAN_CREDITS - 2, 2)
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    assert after == (PLAN_CREDITS, 0)


async def test_a_running_job_is_stopped(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    provider.gate = asyncio.Event()  # never set: the provider works for ever
    async with running(tmp_path, provider) as run:
        ann = await run.customer()
        job = await ann.submit()
        await asyncio.wait_for(provider.entered.wait(), 20)
        running_job = await ann.job(job["id"])
        answer = await ann.post(f"/jobs/{job['id']}/cancel")
        done = await ann.ended(job["id"])
        after = await ann.credits()

    assert running_job["status"] == "running"
    assert answer.status_code == 200
    assert answer.json()["status"] in {"cancelling", "cancelled"}
    assert (done["status"], done["error"]) == ("cancelled", None)
    assert after == (PLAN_CREDITS, 0)


async def test_a_job_that_is_over_cannot_be_cancelled(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        ann = await run.customer()
        job = await ann.ended((await ann.submit())["id"])
        answer = await ann.post(f"/jobs/{job['id']}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")


async def test_a_failed_job_says_why_and_costs_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, FakeProvider("main", refusing)) as run:
        ann = await run.customer()
        job = await ann.ended((await ann.submit())["id"])
        after = await ann.credits()

    assert job["status"] == "failed"
    assert set(job["error"]) == {"code", "title", "detail", "actions"}
    assert (job["error"]["code"], job["error"]["detail"]) == ("invalid", "Please write something nicer.")
    assert job["error"]["actions"]
    assert after == (PLAN_CREDITS, 0)


async def test_a_failed_job_is_tried_again_as_a_new_one(tmp_path: Path) -> None:
    provider = FakeProvider("main", refusing)
    async with running(tmp_path, provider) as run:
        ann = await run.customer()
        failed = await ann.ended((await ann.submit(words="hello"))["id"])
        provider.act = FakeProvider().act
        key = {"Idempotency-Key": "again"}
        answer = await ann.post(f"/jobs/{failed['id']}/retry", headers=key)
        done = await ann.ended(answer.json()["id"])
        repeat = await ann.post(f"/jobs/{failed['id']}/retry", headers=key)
        wrong = await ann.post(f"/jobs/{done['id']}/retry")
        after = await ann.credits()

    assert (answer.status_code, repeat.status_code) == (202, 200)
    assert answer.json()["id"] != failed["id"]
    assert repeat.json()["id"] == answer.json()["id"]
    assert (done["status"], done["output"]) == ("succeeded", {"said": {"words": "hello"}})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "wrong_state")
    assert after == (PLAN_CREDITS - 2, 0)


async def test_a_quote_tells_everything_and_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        before = everything(tmp_path)
        quote = await ann.post("/jobs/quote", {"operation": "twofold", "inputs": {"words": "hello"}})
        poor = await ann.post("/jobs/quote", {"operation": "echo"})
        stranger = await run.client.post("/api/v1/jobs/quote", json={"operation": "echo"})
        after = everything(tmp_path)

    assert quote.status_code == 200
    body = quote.json()
    assert (body["price"], body["credits_after"]) == (3, 0)
    assert body["wait"]["low_s"] <= body["wait"]["high_s"]
    assert body["plan_limits"]["day"] == {"used": 0, "limit": 10, "remaining": 10, "resets_in_s": None}
    assert poor.json()["credits_after"] == 1
    assert stranger.status_code == 401
    assert after == before


async def test_jobs_are_listed_newest_first_and_each_once(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer(gift=30)
        made = [(await ann.submit())["id"] for _ in range(5)]
        other = (await ann.submit("twofold"))["id"]
        await ann.post(f"/jobs/{made[2]}/cancel")
        pages = await all_pages(ann, {"limit": 2})
        queued = await all_pages(ann, {"status": "queued"})
        cancelled = await all_pages(ann, {"status": "cancelled"})
        twofold = await all_pages(ann, {"operation": "twofold"})
        finished = await all_pages(ann, {"status": "running"})

    assert [len(page) for page in pages] == [2, 2, 2]
    assert [job["id"] for page in pages for job in page] == [other, *reversed(made)]
    assert {job["id"] for page in queued for job in page} == {*made, other} - {made[2]}
    assert [job["id"] for page in cancelled for job in page] == [made[2]]
    assert [job["id"] for page in twofold for job in page] == [other]
    assert finished == [[]]


async def test_cancelling_and_running_jobs_are_told_apart(tmp_path: Path) -> None:
    provider = FakeProvider("main")
    provider.gate = asyncio.Event()
    async with running(tmp_path, provider, works=False) as run:
        ann = await run.customer(gift=10, plan="paid")
        stays, goes = (await ann.submit())["id"], (await ann.submit())["id"]
        await pretend_running(run, stays, goes)
        await ann.post(f"/jobs/{goes}/cancel")
        still = await all_pages(ann, {"status": "running"})
        going = await all_pages(ann, {"status": "cancelling"})

    assert [job["id"] for page in still for job in page] == [stays]
    assert [(job["id"], job["status"]) for page in going for job in page] == [(goes, "cancelling")]


async def test_usage_counts_what_was_submitted(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer(gift=10)
        await ann.submit()
        answer = await ann.post("/jobs", {"operation": "echo"})
        usage = (await ann.get("/usage")).json()

    assert (usage["plan"], usage["tokens"]) == ("free", None)
    assert (usage["hour"]["used"], usage["hour"]["limit"]) == (2, None)
    assert (usage["day"]["used"], usage["day"]["limit"], usage["day"]["remaining"]) == (2, 10, 8)
    assert usage["running"] == {"running": 0, "queued": 2, "limit": 1}
    assert '"jobs-day";r=8' in answer.headers["ratelimit"]
    assert '"jobs-day";q=10;w=86400' in answer.headers["ratelimit-policy"]


async def test_a_plan_at_its_limit_says_when_to_come_back(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer(gift=100)
        for _ in range(10):
            await ann.submit()
        answer = await ann.post("/jobs", {"operation": "echo"})
        after = await ann.credits()

    body = answer.json()
    assert (answer.status_code, body["code"]) == (429, "plan_limit")
    assert 86_000 < body["retry_after_s"] <= 86_400
    assert int(answer.headers["retry-after"]) >= body["retry_after_s"]
    assert {action["kind"] for action in body["actions"]} == {"wait", "upgrade"}
    assert '"jobs-day";r=0' in answer.headers["ratelimit"]
    assert after == (103 - 20, 20)


async def test_one_sees_oneself(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer(gift=10)
        await ann.submit()
        me = (await ann.get("/me")).json()

    assert (me["id"], me["email"], me["role"], me["plan"]) == (ann.id, ann.email, "customer", "free")
    assert me["credits"] == {"available": 11, "held": 2}
    assert (me["limits"]["running"], me["limits"]["jobs_per_day"]) == (1, 10)
    assert me["preferences"] == {}
    assert me["plan_renews_at"] > me["created_at"]


async def test_a_plan_that_the_product_has_dropped_counts_as_the_first_one(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        ann = await run.customer(plan="gone")
        me = (await ann.get("/me")).json()
        job = await ann.ended((await ann.submit())["id"])

    assert me["plan"] == "free"
    assert (job["status"], job["plan"]) == ("succeeded", "free")


async def all_pages(customer: Customer, wanted: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return every page of a list of jobs."""
    pages: list[list[dict[str, Any]]] = []
    cursor: str | None = None
    while True:
        answer = await customer.get("/jobs", params=wanted | ({} if cursor is None else {"cursor": cursor}))
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["items"])
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return pages


async def pretend_running(run: Running, *job_ids: str) -> None:
    """Make jobs look as if another process ran them."""
    await run.services.database.write(
        lambda tx: [
            tx.run(
                "UPDATE jobs SET state = 'running', lease_until = :until, fence = 1 WHERE id = :id",
                id=job_id,
                until=9e9,
            )
            for job_id in job_ids
        ]
    )


def everything(folder: Path) -> list[str]:
    """Return every row of the database."""
    with sqlite3.connect(folder / "penstock.sqlite3") as connection:
        return list(connection.iterdump())
