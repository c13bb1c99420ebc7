"""Anonymous visitors, and what becomes of them."""

import httpx2
from tests.unit.accounts.stage import (
    EMAIL,
    HTTPS,
    OTHER_PAGE,
    OWN_PAGE,
    PASSWORD,
    Stage,
    bearer,
    problem_of,
)

from penstock.accounts.service import AccountsService

WHO = {"email": EMAIL, "password": PASSWORD}


async def test_the_first_call_that_needs_an_account_gets_one(open_shop: Stage) -> None:
    async with open_shop.client(HTTPS) as page:
        assert (await page.get("/open")).json() is None
        assert not page.cookies

        first = await page.post("/things", headers=OWN_PAGE)
        second = await page.get("/things")

        assert first.json()["visitor"] is True
        assert first.json()["plan"] == "free"
        assert first.json()["email"] is None
        assert second.json()["account_id"] == first.json()["account_id"]
        line = first.headers["set-cookie"]
        assert line.startswith("penstock_visitor=vt_")
        assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(line.split("; "))
        assert "set-cookie" not in second.headers
    assert open_shop.created == []  # credits are for those who sign up


async def test_the_visitors_cookie_is_stored_hashed(open_shop: Stage) -> None:
    async with open_shop.client(HTTPS) as page:
        await page.get("/things")
        token = page.cookies["penstock_visitor"]

    stored = await open_shop.value("SELECT visitor_digest FROM accounts")
    assert token not in stored
    assert len(stored) == 64


async def test_registration_makes_the_same_account_a_customers(open_shop: Stage) -> None:
    async with open_shop.client(HTTPS) as page:
        visitor = (await page.post("/things", headers=OWN_PAGE)).json()["account_id"]
        cookie = page.cookies["penstock_visitor"]

        answer = await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)

        assert answer.json()["account"]["id"] == visitor
        assert answer.json()["account"]["visitor"] is False
        assert open_shop.created == [(visitor, "free")]
        assert "penstock_visitor" not in page.cookies
        now = (await page.get("/things")).json()
        assert (now["account_id"], now["visitor"], now["email"]) == (visitor, False, EMAIL)
        assert await open_shop.value("SELECT count(*) FROM accounts") == 1

    # Whoever planted or copied the visitor's cookie does not get into the customer's account.
    async with open_shop.client(HTTPS, cookies={"penstock_visitor": cookie}) as thief:
        assert (await thief.get("/open")).json() is None


async def test_a_visitor_who_picks_a_taken_address_stays_a_visitor(open_shop: Stage) -> None:
    await open_shop.signed_up()
    async with open_shop.client(HTTPS) as page:
        visitor = (await page.post("/things", headers=OWN_PAGE)).json()["account_id"]

        answer = await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)

        assert problem_of(answer) == (422, "invalid_input")
        assert (await page.get("/things")).json()["account_id"] == visitor


async def test_login_leaves_the_visitors_work_where_it_is(open_shop: Stage) -> None:
    account = (await open_shop.signed_up())["account"]["id"]
    async with open_shop.client(HTTPS) as page:
        visitor = (await page.post("/things", headers=OWN_PAGE)).json()["account_id"]

        await page.post("/api/v1/auth/login", json=WHO, headers=OWN_PAGE)
        assert (await page.get("/things")).json()["account_id"] == account
        await page.post("/api/v1/auth/logout", headers=OWN_PAGE)
        assert (await page.get("/things")).json()["account_id"] == visitor


async def test_a_product_without_visitors_asks_for_sign_in(shop: Stage, program: httpx2.AsyncClient) -> None:
    answer = await program.post("/things", headers={"cookie": "penstock_visitor=vt_x"})

    assert problem_of(answer) == (401, "unauthenticated")
    assert answer.json()["actions"] == ["sign_in"]
    assert await shop.value("SELECT count(*) FROM accounts") == 0


async def test_bad_credentials_never_become_a_visitor(open_shop: Stage) -> None:
    body = await open_shop.signed_up()
    open_shop.clock.advance(1_000)
    async with open_shop.client(HTTPS) as page:
        for headers in (
            bearer(body["access_token"]),
            bearer("pk_x"),
            {"cookie": f"__Host-penstock_session={body['access_token']}", **OWN_PAGE},
        ):
            assert problem_of(await page.post("/things", headers=headers)) == (401, "unauthenticated")

    assert await open_shop.value("SELECT count(*) FROM accounts") == 1


async def test_a_stale_visitors_cookie_is_replaced(open_shop: Stage) -> None:
    async with open_shop.client(HTTPS) as page:
        answer = await page.post("/things", headers={"cookie": "penstock_visitor=vt_old", **OWN_PAGE})

    assert answer.json()["visitor"] is True
    assert "penstock_visitor=vt_" in answer.headers["set-cookie"]


async def test_another_sites_page_makes_no_visitor_and_uses_none(open_shop: Stage) -> None:
    async with open_shop.client(HTTPS) as page:
        assert problem_of(await page.post("/things", headers=OTHER_PAGE)) == (401, "unauthenticated")
        await page.post("/things", headers=OWN_PAGE)
        assert problem_of(await page.post("/things", headers=OTHER_PAGE)) == (403, "forbidden")


async def test_visitors_are_not_made_in_bulk(open_shop: Stage) -> None:
    async with open_shop.client() as client:
        answers = []
        for _ in range(61):
            client.cookies.clear()
            answers.append(await client.get("/things"))

    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert answers[-1].json()["retry_after_s"] > 0


async def test_a_blocked_visitor_does_not_escape_by_signing_up(open_shop: Stage) -> None:
    async with open_shop.client(HTTPS) as page:
        visitor = (await page.post("/things", headers=OWN_PAGE)).json()["account_id"]
        service: AccountsService = open_shop.accounts
        await open_shop.database.write(service.block, visitor, "abuse", None)

        answer = await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)

        assert problem_of(answer) == (403, "blocked")
        assert open_shop.created == []
        assert await open_shop.value("SELECT visitor FROM accounts") == 1


async def test_visitors_have_preferences_but_no_keys(open_shop: Stage) -> None:
    async with open_shop.client(HTTPS) as page:
        await page.post("/things", headers=OWN_PAGE)
        kept = await page.patch("/api/v1/me", json={"preferences": {"theme": "dark"}}, headers=OWN_PAGE)
        key = await page.post("/api/v1/me/keys", json={"name": "x", "scopes": ["read"]}, headers=OWN_PAGE)

    assert kept.json()["preferences"] == {"theme": "dark"}
    assert problem_of(key) == (401, "unauthenticated")
    assert key.json()["actions"] == ["sign_in"]
