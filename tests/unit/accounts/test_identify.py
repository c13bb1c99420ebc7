"""Who calls: what it costs, how fast a change counts, who is kept out."""

import asyncio
from typing import Any

import httpx2
import pytest
from tests.unit.accounts.stage import EMAIL, PASSWORD, Stage, bearer, problem_of, service

from penstock.accounts.remembered import MAX_REMEMBERED, REMEMBER_S, Known, Remembered
from penstock.kit.caller import Caller
from penstock.kit.clock import ManualClock
from penstock.kit.errors import Problem


async def test_a_request_costs_at_most_one_read_and_a_burst_costs_one(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = bearer((await shop.signed_up())["access_token"])
    reads, writes = shop.database.reads, shop.database.writes

    for _ in range(10):
        assert (await program.get("/things", headers=token)).status_code == 200
    assert (shop.database.reads, shop.database.writes) == (reads + 1, writes)

    shop.clock.advance(REMEMBER_S)
    await program.get("/things", headers=token)
    assert shop.database.reads == reads + 2


async def test_a_session_ended_elsewhere_ends_here_within_the_stated_time(
    shop: Stage, program: httpx2.AsyncClient
) -> None:
    body = await shop.signed_up()
    token = bearer(body["access_token"])
    assert (await program.get("/things", headers=token)).status_code == 200

    elsewhere = service(shop.database, shop.clock)
    await elsewhere.logout(body["access_token"], None)

    shop.clock.advance(REMEMBER_S)
    assert problem_of(await program.get("/things", headers=token)) == (401, "unauthenticated")


async def test_a_change_by_staff_counts_at_the_next_request(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    account, token = body["account"]["id"], bearer(body["access_token"])
    assert (await program.get("/things", headers=token)).json()["role"] == "customer"

    await shop.database.write(shop.accounts.set_role, account, "support")
    assert (await program.get("/things", headers=token)).json()["role"] == "support"
    await shop.database.write(shop.accounts.set_plan, account, "cherish", shop.clock.now() + 86_400)
    assert (await program.get("/things", headers=token)).json()["plan"] == "cherish"
    assert (await shop.accounts.profile(account)).plan_renews_at == shop.clock.now() + 86_400


async def test_a_change_that_is_rolled_back_forgets_nobody(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()

    def fails(tx: Any) -> None:
        shop.accounts.set_role(tx, body["account"]["id"], "admin")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await shop.database.write(fails)
    seen = await program.get("/things", headers=bearer(body["access_token"]))
    assert seen.json()["role"] == "customer"


async def test_a_blocked_account_is_told_why_and_until_when(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    account, token = body["account"]["id"], bearer(body["access_token"])
    key = await program.post("/api/v1/me/keys", json={"name": "x", "scopes": ["read"]}, headers=token)
    assert (await program.get("/things", headers=token)).status_code == 200

    await shop.database.write(shop.accounts.block, account, "Chargeback of 3 May.", shop.clock.now() + 3_600)

    who = {"email": EMAIL, "password": PASSWORD}
    refusals = [
        await program.get("/things", headers=token),
        await program.get("/open", headers=token),
        await program.get("/things", headers=bearer(key.json()["key"])),
        await program.post("/api/v1/auth/login", json=who),
        await program.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]}),
    ]
    assert {problem_of(each) for each in refusals} == {(403, "blocked")}
    assert "Chargeback of 3 May." in refusals[0].json()["detail"]
    assert "15 January 2027, 09:00 UTC" in refusals[0].json()["detail"]
    guess = await program.post("/api/v1/auth/login", json={**who, "password": "a wrong guess"})
    assert problem_of(guess) == (401, "unauthenticated")  # a stranger learns nothing of the block

    shop.clock.advance(3_600)
    renewed = await program.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})
    assert renewed.status_code == 200  # the refusal did not use the token up
    assert (await program.get("/things", headers=bearer(renewed.json()["access_token"]))).status_code == 200


async def test_a_block_for_good_ends_only_when_it_is_lifted(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    account = body["account"]["id"]
    await shop.database.write(shop.accounts.block, account, "Fraud", None)
    token = {"refresh_token": body["refresh_token"]}
    shop.clock.advance(86_400)
    assert problem_of(await program.post("/api/v1/auth/refresh", json=token)) == (403, "blocked")

    await shop.database.write(shop.accounts.unblock, account)

    assert (await program.post("/api/v1/auth/refresh", json=token)).status_code == 200


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
async def test_a_block_needs_a_reason(shop: Stage, reason: str) -> None:
    account = (await shop.signed_up())["account"]["id"]

    with pytest.raises(Problem, match="reason"):
        await shop.database.write(shop.accounts.block, account, reason, None)


@pytest.mark.parametrize("change", ["set_role", "set_plan", "block", "unblock"])
async def test_nobody_is_not_found(shop: Stage, change: str) -> None:
    extra = {"set_role": ("admin",), "set_plan": ("free", None), "block": ("reason", None), "unblock": ()}[change]

    with pytest.raises(Problem) as caught:
        await shop.database.write(getattr(shop.accounts, change), "acc_nobody", *extra)
    assert caught.value.code == "not_found"


async def test_an_administrator_is_made_or_promoted(shop: Stage, program: httpx2.AsyncClient) -> None:
    made = await shop.database.write(shop.accounts.create_admin, "Boss@example.org", PASSWORD)
    assert (made.email, made.role) == ("boss@example.org", "admin")
    assert shop.created == [(made.id, "free")]
    body = await shop.signed_up()
    wanted = {"name": "Batch", "scopes": ["read", "write"]}
    key = (await program.post("/api/v1/me/keys", json=wanted, headers=bearer(body["access_token"]))).json()["key"]

    promoted = await shop.database.write(shop.accounts.create_admin, EMAIL, "another long password")

    assert (promoted.id, promoted.role) == (body["account"]["id"], "admin")
    for credential in (body["access_token"], key):
        old = await program.get("/things", headers=bearer(credential))
        assert problem_of(old) == (401, "unauthenticated")
    login = {"email": EMAIL, "password": "another long password"}
    answer = await program.post("/api/v1/auth/login", json=login)
    assert answer.json()["account"]["role"] == "admin"


@pytest.mark.parametrize(("email", "password"), [("boss", PASSWORD), ("boss@example.org", "short")])
async def test_a_bad_administrator_is_refused(shop: Stage, email: str, password: str) -> None:
    with pytest.raises(Problem) as caught:
        await shop.database.write(shop.accounts.create_admin, email, password)
    assert caught.value.code == "invalid_input"


async def test_preferences_are_merged_and_bounded(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = bearer((await shop.signed_up())["access_token"])

    async def change(preferences: Any) -> httpx2.Response:
        return await program.patch("/api/v1/me", json={"preferences": preferences}, headers=token)

    assert (await change({"theme": "dark", "size": 1.5, "tour": True})).status_code == 200
    merged = await change({"theme": "hell, größer", "tour": None})
    assert merged.json()["preferences"] == {"theme": "hell, größer", "size": 1.5}
    assert problem_of(await change({str(n): "x" * 1_000 for n in range(5)})) == (422, "invalid_input")
    assert problem_of(await change({"deep": {"a": 1}})) == (422, "invalid_input")
    assert problem_of(await change([])) == (422, "invalid_input")
    nan = await program.patch(
        "/api/v1/me",
        content=b'{"preferences": {"a": NaN}}',
        headers={**token, "content-type": "application/json"},
    )
    assert problem_of(nan) == (422, "invalid_input")
    kept = (await shop.accounts.profile(merged.json()["id"])).preferences
    assert kept == {"theme": "hell, größer", "size": 1.5}


async def test_preferences_changed_at_once_are_not_lost(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = bearer((await shop.signed_up())["access_token"])

    answers = await asyncio.gather(
        *(program.patch("/api/v1/me", json={"preferences": {f"k{n}": n}}, headers=token) for n in range(10))
    )

    assert {answer.status_code for answer in answers} == {200}
    account = answers[0].json()["id"]
    assert (await shop.accounts.profile(account)).preferences == {f"k{n}": n for n in range(10)}


def known(account_id: str) -> Known:
    return Known(Caller(account_id, "free"), None, None)


def test_a_read_that_began_before_an_end_is_not_kept() -> None:
    remembered = Remembered(ManualClock())
    epoch = remembered.epoch
    remembered.forget("acc_1")

    remembered.keep("session", known("acc_1"), epoch)
    assert remembered.get("session") is None
    remembered.keep("session", known("acc_1"), remembered.epoch)
    assert remembered.get("session") == known("acc_1")


def test_what_is_remembered_is_bounded_and_forgotten_by_account() -> None:
    remembered = Remembered(ManualClock())
    for number in range(MAX_REMEMBERED + 1):
        remembered.keep(str(number), known(f"acc_{number % 2}"), remembered.epoch)
    assert remembered.get("0") is None
    assert remembered.get("1") is not None

    remembered.forget("acc_1")

    assert remembered.get("1") is None
    assert remembered.get("2") is not None
