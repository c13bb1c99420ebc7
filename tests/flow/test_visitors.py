"""Visitors: who comes without credentials may work where the product allows it, and keeps it by signing up."""

from pathlib import Path
from typing import Any

from penstock.kit.clock import ManualClock
from penstock.ledger import statement
from tests.flow.test_lifecycle import everything
from tests.support.flows import PRODUCT, make_product
from tests.support.servers import API, PASSWORD, Running, running

ANONYMOUS = make_product(
    sign_in={"anonymous": True},
    operations={"echo": PRODUCT["operations"]["echo"], "gratis": {**PRODUCT["operations"]["echo"], "price": 0}},
)


async def test_a_visitor_works_for_nothing_and_signs_up_to_pay(tmp_path: Path) -> None:
    async with running(tmp_path, product=ANONYMOUS) as run:
        run.client.headers["sec-fetch-site"] = "same-origin"  # as a browser says on the product's own page
        free = await run.client.post(f"{API}/jobs", json={"operation": "gratis"})
        paid = await run.client.post(f"{API}/jobs", json={"operation": "echo"})
        credentials = {"email": "visitor@example.org", "password": PASSWORD}
        signed_up = await run.client.post(f"{API}/auth/register", json=credentials)
        headers = {"authorization": f"Bearer {signed_up.json()['access_token']}"}
        jobs = (await run.client.get(f"{API}/jobs", headers=headers)).json()["items"]
        me = (await run.client.get(f"{API}/me", headers=headers)).json()

    assert free.status_code == 202
    assert "penstock_visitor=" in free.headers["set-cookie"]
    assert (paid.status_code, paid.json()["code"]) == (402, "insufficient_credits")
    assert [action["kind"] for action in paid.json()["actions"]] == ["sign_in"]
    assert [job["id"] for job in jobs] == [free.json()["id"]]
    assert me["credits"] == {"available": 3, "held": 0}


async def test_asking_the_price_makes_no_account(tmp_path: Path) -> None:
    async with running(tmp_path, product=ANONYMOUS, works=False) as run:
        before = everything(tmp_path)
        quote = await run.client.post(f"{API}/jobs/quote", json={"operation": "echo"})
        after = everything(tmp_path)

    assert (quote.status_code, quote.json()["credits_after"]) == (200, -2)
    assert "set-cookie" not in quote.headers
    assert after == before


async def test_a_visitor_gets_no_credits_of_a_plan(tmp_path: Path) -> None:
    async with running(tmp_path, product=ANONYMOUS, works=False) as run:
        me = (await run.client.get(f"{API}/me")).json()
        credits_ = (await run.client.get(f"{API}/credits")).json()

    assert (me["visitor"], me["email"], me["credits"]["available"]) == (True, None, 0)
    assert credits_ == {"available": 0, "held": 0, "debt": 0, "lots": []}


async def test_signing_up_again_from_the_same_browser_brings_no_second_free_month(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running(tmp_path, product=ANONYMOUS, works=False, clock=clock) as run:
        run.client.headers["sec-fetch-site"] = "same-origin"
        job = (await run.client.post(f"{API}/jobs", json={"operation": "gratis"})).json()["id"]
        stolen = run.client.cookies["penstock_visitor"]
        first = await sign_up(run, "first@example.org")
        await run.client.post(f"{API}/auth/logout")
        visitor = (await run.client.get(f"{API}/me")).json()
        seen = (await run.client.get(f"{API}/jobs")).json()["items"]
        second = await sign_up(run, "second@example.org")
        run.client.cookies.clear()
        run.client.cookies.set("penstock_visitor", stolen)
        third = await sign_up(run, "third@example.org")
        clock.advance(32 * 86_400)
        await run.services.plan_credits.renew()
        account = await run.services.database.read(statement.balance, second["id"])

    assert first["credits"] == {"available": 3, "held": 0}
    assert (visitor["visitor"], seen) == (True, [])
    assert second["credits"] == {"available": 0, "held": 0}
    assert third["id"] not in {first["id"], second["id"]}  # the old cookie opens no account of anybody
    assert account.available == 3  # as for everybody from the second month on
    assert job


async def test_every_new_account_gets_the_plan_of_new_customers(tmp_path: Path) -> None:
    async with running(tmp_path, product=TIERS, works=False) as run:
        run.client.headers["sec-fetch-site"] = "same-origin"
        seen = []
        for email in ("first@example.org", "second@example.org"):
            visitor = (await run.client.get(f"{API}/me")).json()
            me = await sign_up(run, email)
            await run.client.post(f"{API}/auth/logout")
            seen.append((visitor["plan"], me["plan"], me["limits"]["jobs_per_day"], me["credits"]["available"]))

    assert seen == [("looking", "free", 10, 3 + 5), ("looking", "free", 10, 0)]


TIERS = make_product(
    sign_in={"anonymous": True, "anonymous_plan": "looking", "gift_credits": 5},
    plans={
        **PRODUCT["plans"],
        "looking": {"title": "Looking", "description": "Without signing up", "limits": {"jobs_per_day": 2}},
    },
)


async def sign_up(run: Running, email: str) -> dict[str, Any]:
    """Sign up in the browser, and return what it shows of the account."""
    answer = await run.client.post(f"{API}/auth/register", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    me: dict[str, Any] = (await run.client.get(f"{API}/me")).json()
    return me
