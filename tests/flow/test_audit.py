"""Staff give credits with a reason, and everything that they do to accounts stands in the audit log."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner

from penstock.app.application import bare_app
from penstock.cli import main
from penstock.kit.cursors import write_cursor
from tests.flow.test_staff import change, staff
from tests.support.servers import API, Customer, Running, running

SORRY = {"credits": 4, "reason": "Sorry for the blurred picture"}


async def give(by: Customer, account: str, key: str | None = "k1", **body: Any) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await by.post(f"/admin/ledger/{account}/grants", SORRY | body, headers=headers)


async def entries(run: Running) -> list[dict[str, Any]]:
    return await run.services.database.read(lambda tx: tx.all("SELECT * FROM audit_entries ORDER BY id"))


async def test_support_grants_once_with_a_reason_that_the_customer_reads(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer, support, admin = await run.customer(), await staff(run), await staff(run, "admin")
        before = (await customer.credits())[0]
        given, again = await give(support, customer.id), await give(support, customer.id)
        other_body = await give(support, customer.id, credits=5)
        other_account = await give(support, admin.id)
        other_staff = await give(admin, customer.id)  # another person's key of the same name
        newest = (await customer.get("/credits/entries")).json()["items"]
        after = (await customer.credits())[0]
        log = (await admin.get("/admin/audit", params={"account": customer.id})).json()["items"]

    assert (given.status_code, again.status_code, other_staff.status_code) == (201, 200, 201)
    assert given.json() == again.json() == {"account": customer.id, **SORRY, "available": before + 4}
    assert (other_body.json()["code"], other_account.json()["code"]) == ("idempotency_mismatch",) * 2
    assert after == before + 8
    assert [entry["reason"] for entry in newest[:2]] == [SORRY["reason"]] * 2
    assert support.id not in newest[1]["source"]
    assert [(entry["actor"], entry["actor_account"]) for entry in log] == [
        (admin.email, admin.id), (support.email, support.id),
    ]  # fmt: skip
    assert {(entry["action"], entry["account"], entry["reason"]) for entry in log} == {
        ("credits.granted", customer.id, SORRY["reason"])
    }
    assert log[0]["details"]["credits"] == 4


async def test_the_same_key_many_times_at_once_grants_once(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer, support = await run.customer(), await staff(run)
        before = (await customer.credits())[0]
        answers = await asyncio.gather(*(give(support, customer.id) for _ in range(8)))
        after = (await customer.credits())[0]
        written = await entries(run)

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    assert after == before + 4
    assert len(written) == 1


async def test_who_may_grant_and_who_may_read(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer, support, admin = await run.customer(), await staff(run), await staff(run, "admin")
        refused = [await give(customer, customer.id), await customer.get("/admin/audit")]
        refused += [await support.get("/admin/audit"), await give(support, support.id)]
        wrong = [
            await give(support, customer.id, key=None), await give(support, customer.id, key="x" * 256),
            await give(support, customer.id, credits=0), await give(support, customer.id, credits=1_000_001),
            await give(support, customer.id, reason="  "), await admin.get("/admin/audit", params={"cursor": "no"}),
        ]  # fmt: skip
        nobody = await give(support, "acc_none")
        written = await entries(run)

    assert [answer.status_code for answer in refused] == [403] * 4
    assert [(answer.status_code, answer.json()["code"]) for answer in wrong] == [(422, "invalid_input")] * 6
    assert nobody.status_code == 404
    assert written == []


async def test_a_character_that_no_text_has_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer, support, admin = await run.customer(), await staff(run), await staff(run, "admin")
        wrong = [
            await give(support, customer.id, reason="Sor\0ry"),
            await change(support, customer.id, block={"reason": "\0"}),
            await customer.get("/billing/payments", params={"cursor": write_cursor(1.0, "\0")}),
        ]  # fmt: skip
        elsewhere = [
            await admin.get("/admin/audit?account=%00"), await support.get("/admin/accounts/acc%00"),
            await give(support, "acc%00"), await customer.delete("/me/keys/%00"), await customer.get("/jobs/job%00"),
        ]  # fmt: skip
        written = await entries(run)

    assert [(answer.status_code, answer.json()["code"]) for answer in wrong] == [(422, "invalid_input")] * 3
    assert {answer.status_code for answer in elsewhere} <= {200, 404, 422}
    assert written == []


async def test_limits_and_blocks_are_written_down_and_what_is_refused_is_not(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer, support, admin = await run.customer(), await staff(run), await staff(run, "admin")
        await change(support, customer.id, limits={"running": 2})
        await change(support, customer.id, limits={})  # says nothing
        await change(
            support, customer.id, limits={"running": 3}, block={"reason": "x", "until": "2000-01-01T00:00:00Z"}
        )
        await change(support, customer.id, block={"reason": "Chargebacks"})
        await change(admin, customer.id, block=None)
        pages = [await admin.get("/admin/audit", params={"limit": 2})]
        pages.append(await admin.get("/admin/audit", params={"limit": 2, "cursor": pages[0].json()["next_cursor"]}))
        log = [entry for page in pages for entry in page.json()["items"]]

    assert [(entry["action"], entry["actor"], entry["reason"]) for entry in log] == [
        ("account.unblocked", admin.email, None),
        ("account.blocked", support.email, "Chargebacks"),
        ("account.limits", support.email, None),
    ]
    assert log[2]["details"] == {"given": {"running": 2}, "own": {"running": 2}}
    assert pages[1].json()["next_cursor"] is None


@pytest.mark.embedded
async def test_the_command_line_writes_to_it_too(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        customer = await run.customer()
        granting = ["credits", "grant", customer.email, "3", "--reason", "Sorry", "--key", "once"]
        for command in (granting, granting, ["admin", "limits", customer.email, "--running", "3"]):
            await asyncio.to_thread(command_line, tmp_path, *command)
        await asyncio.to_thread(command_line, tmp_path, "admin", "limits", customer.email)  # only shows them
        written = await entries(run)

    assert [(row["action"], row["account_id"], row["actor_id"], row["reason"]) for row in written] == [
        ("credits.granted", customer.id, None, "Sorry"), ("account.limits", customer.id, None, None),
    ]  # fmt: skip
    assert all("command line" in row["actor"] for row in written)


@pytest.mark.embedded
async def test_nothing_of_whoever_opened_an_administrators_account_before_holds(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        stranger = await run.customer()
        key = (await stranger.post("/me/keys", {"name": "Batch", "scopes": ["read", "write"]})).json()["key"]
        await asyncio.to_thread(command_line, tmp_path, "admin", "create", stranger.email)
        run.services.accounts._identifier.forget(stranger.id)  # as seconds later in another process
        headers = [{"authorization": f"Bearer {credential}"} for credential in (key, stranger.token)]
        answers = [await run.client.get(f"{API}/admin/audit", headers=each) for each in headers]
        [written] = await entries(run)

    assert [answer.status_code for answer in answers] == [401, 401]
    assert (written["action"], written["account_id"]) == ("account.admin", stranger.id)


def test_no_call_changes_or_deletes_an_entry() -> None:
    paths = {path: set(methods) for path, methods in bare_app().openapi()["paths"].items() if "audit" in path}
    assert paths == {"/api/v1/admin/audit": {"get"}}


def command_line(data: Path, *words: str) -> None:
    result = CliRunner().invoke(main.make_app(), [*words, "--data", str(data)])
    assert result.exit_code == 0, result.output
