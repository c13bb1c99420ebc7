"""The web app's cookies, and requests that ride on them from elsewhere."""

from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient
from tests.unit.accounts.stage import (
    EMAIL,
    HTTP,
    HTTPS,
    OTHER_PAGE,
    OWN_PAGE,
    PASSWORD,
    Stage,
    bearer,
    problem_of,
    stage,
)

from penstock.accounts import cookies
from penstock.accounts.sessions import REFRESH_RACE_S

WHO = {"email": EMAIL, "password": PASSWORD}


def attributes(answer: httpx2.Response) -> dict[str, set[str]]:
    """Return the attributes of each cookie that an answer sets, without its value."""
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        pair, *rest = line.split("; ")
        found[pair.partition("=")[0]] = set(rest)
    return found


async def test_over_https_cookies_are_bound_to_the_host(shop: Stage) -> None:
    async with shop.client(HTTPS) as page:
        answer = await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)

        assert attributes(answer) == {
            "__Host-penstock_session": {"Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Lax", "Secure"},
            "__Secure-penstock_refresh": {
                "Path=/api/v1/auth",
                "Max-Age=2592000",
                "HttpOnly",
                "SameSite=Lax",
                "Secure",
            },
        }
        assert (await page.get("/things")).json()["email"] == EMAIL
        assert (await page.post("/things", headers=OWN_PAGE)).status_code == 200


async def test_on_localhost_names_are_plain(shop: Stage) -> None:
    async with shop.client(HTTP) as page:
        answer = await page.post("/api/v1/auth/register", json=WHO)

        assert attributes(answer) == {
            "penstock_session": {"Path=/", "Max-Age=2592000", "HttpOnly", "SameSite=Lax"},
            "penstock_refresh": {"Path=/api/v1/auth", "Max-Age=2592000", "HttpOnly", "SameSite=Lax"},
        }
        assert (await page.get("/things")).json()["email"] == EMAIL


async def test_over_https_a_plain_cookie_is_ignored(shop: Stage) -> None:
    token = (await shop.signed_up())["access_token"]
    async with shop.client(HTTPS) as page:
        planted = await page.get("/open", headers={"cookie": f"penstock_session={token}"})
        own = await page.get("/open", headers={"cookie": f"__Host-penstock_session={token}"})

    assert planted.json() is None
    assert own.json()["email"] == EMAIL


@pytest.mark.parametrize(
    "name", ["\x0b__Host-penstock_session", "\xa0__Host-penstock_session", "__host-penstock_session"]
)
async def test_a_name_that_only_resembles_the_cookies_is_ignored(shop: Stage, name: str) -> None:
    token = (await shop.signed_up())["access_token"]
    line = f"a=b; {name}={token}".encode("latin-1")
    scope = {"type": "http", "scheme": "https", "headers": [(b"cookie", line)]}

    assert cookies.read(HTTPConnection(scope), "session") is None


async def test_refresh_takes_the_cookie_when_the_body_is_empty(shop: Stage) -> None:
    async with shop.client(HTTPS) as page:
        first = (await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)).json()
        shop.clock.advance(1_000)
        assert problem_of(await page.get("/things")) == (401, "unauthenticated")

        renewed = await page.post("/api/v1/auth/refresh", json={}, headers=OWN_PAGE)

        assert renewed.status_code == 200
        assert renewed.json()["refresh_token"] != first["refresh_token"]
        assert (await page.get("/things")).status_code == 200
        bodiless = await page.post("/api/v1/auth/refresh", headers=OWN_PAGE)
        assert bodiless.status_code == 200


async def test_the_refresh_cookie_stays_out_of_other_requests(shop: Stage) -> None:
    async with shop.client(HTTPS) as page:
        await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)

        assert "refresh" not in (await page.get("/things")).request.headers["cookie"]


async def test_a_tab_that_lost_the_race_keeps_its_cookies(shop: Stage) -> None:
    async with shop.client(HTTPS) as page:
        await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)
        old = {"cookie": f"__Secure-penstock_refresh={page.cookies['__Secure-penstock_refresh']}", **OWN_PAGE}
        assert (await page.post("/api/v1/auth/refresh", json={}, headers=OWN_PAGE)).status_code == 200

        async with shop.client(HTTPS) as slower:
            lost = await slower.post("/api/v1/auth/refresh", json={}, headers=old)
            assert problem_of(lost) == (409, "wrong_state")
            assert attributes(lost) == {}
            shop.clock.advance(REFRESH_RACE_S + 1)
            reused = await slower.post("/api/v1/auth/refresh", json={}, headers=old)
            assert problem_of(reused) == (401, "unauthenticated")
            assert "Max-Age=0" in attributes(reused)["__Host-penstock_session"]
            assert "Max-Age=0" in attributes(reused)["__Secure-penstock_refresh"]


async def test_logout_takes_the_cookies_away(shop: Stage) -> None:
    async with shop.client(HTTPS) as page:
        body = (await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)).json()

        answer = await page.post("/api/v1/auth/logout", headers=OWN_PAGE)

        assert answer.status_code == 204
        assert not page.cookies
        assert (await page.get("/open")).json() is None
        assert (await page.get("/open", headers=bearer(body["access_token"]))).status_code == 401


async def test_logout_works_when_only_the_refresh_cookie_is_good(shop: Stage) -> None:
    async with shop.client(HTTPS) as page:
        body = (await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)).json()
        del page.cookies["__Host-penstock_session"]
        assert (await page.post("/api/v1/auth/logout", headers=OWN_PAGE)).status_code == 204

        token = {"refresh_token": body["refresh_token"]}
        assert (await page.post("/api/v1/auth/refresh", json=token)).status_code == 401


FOREIGN: dict[str, dict[str, str]] = {
    "another site": OTHER_PAGE,
    "another site, method only": {"sec-fetch-site": "cross-site"},
    "a sibling domain": {"sec-fetch-site": "same-site", "origin": "https://other.penstock.test"},
    "another site in an old browser": {"origin": "https://evil.test"},
    "another scheme": {"origin": "http://penstock.test"},
    "another port": {"origin": "https://penstock.test:8443"},
    "hidden origin": {"origin": "null"},
    "no word of where from": {},
}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_unsafe_methods_all_need_our_own_page(shop: Stage, method: str) -> None:
    async with shop.client(HTTPS) as page:
        await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)

        answer = await page.request(method, "/api/v1/me", headers=OTHER_PAGE)
        # Only PATCH is a route here; what matters is that this one never gets as far as its body.
        assert (answer.status_code, method) in {(403, "PATCH"), (405, method)}


@pytest.mark.parametrize("foreign", FOREIGN)
async def test_a_cookie_does_not_carry_another_sites_request(shop: Stage, foreign: str) -> None:
    async with shop.client(HTTPS) as page:
        body = (await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)).json()
        headers = FOREIGN[foreign]

        assert problem_of(await page.post("/things", headers=headers)) == (403, "forbidden")
        assert problem_of(await page.post("/api/v1/auth/refresh", json={}, headers=headers)) == (403, "forbidden")
        assert problem_of(await page.post("/api/v1/auth/logout", headers=headers)) == (403, "forbidden")
        assert (await page.get("/things", headers=headers)).status_code == 200
        token = await page.post("/things", headers={**headers, **bearer(body["access_token"])})
        assert token.status_code == 200


@pytest.mark.parametrize(
    "own",
    [{"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": HTTPS}, {**OWN_PAGE, "origin": HTTPS}],
)
async def test_our_own_pages_may(shop: Stage, own: dict[str, str]) -> None:
    async with shop.client(HTTPS) as page:
        await page.post("/api/v1/auth/register", json=WHO, headers=OWN_PAGE)

        assert (await page.post("/things", headers=own)).status_code == 200


async def test_named_origins_may_too(tmp_path: Path) -> None:
    async with stage(tmp_path, origins=frozenset({"https://front.test"})) as shop, shop.client(HTTPS) as page:
        front = {"sec-fetch-site": "cross-site", "origin": "https://front.test"}
        assert (await page.post("/api/v1/auth/register", json=WHO, headers=front)).status_code == 201

        assert (await page.post("/things", headers=front)).status_code == 200
        assert (await page.post("/things", headers=OTHER_PAGE)).status_code == 403


@pytest.mark.parametrize("where", ["register", "login", "refresh"])
async def test_another_site_signs_nobody_in(shop: Stage, program: httpx2.AsyncClient, where: str) -> None:
    body = await shop.signed_up("bob@example.org", PASSWORD)
    who: dict[str, Any] = {"refresh_token": body["refresh_token"]} if where == "refresh" else WHO

    answer = await program.post(f"/api/v1/auth/{where}", json=who, headers=OTHER_PAGE)

    assert problem_of(answer) == (403, "forbidden")
    assert attributes(answer) == {}


async def test_cookies_of_a_refused_request_are_still_set(open_shop: Stage) -> None:
    async with open_shop.client(HTTPS) as page:
        answer = await page.post("/fails", headers=OWN_PAGE)

        assert problem_of(answer) == (413, "too_large")
        assert "penstock_visitor" in attributes(answer)
        raw = await page.post("/raw", headers=OWN_PAGE)
        assert raw.status_code == 202
        assert raw.json()["account_id"] in answer.json()["detail"]


async def test_without_the_middleware_cookies_fail_loudly() -> None:
    scope = {"type": "http", "scheme": "http", "headers": []}

    with pytest.raises(RuntimeError, match="SetCookies"):
        cookies.put(HTTPConnection(scope), "session", "x", 1)


async def test_a_websocket_is_known_by_cookie_or_token_and_only_from_our_pages(shop: Stage) -> None:
    token = (await shop.signed_up())["access_token"]
    cookie = {"cookie": f"penstock_session={token}"}

    def first(headers: dict[str, str], message: dict[str, str]) -> Any:
        with TestClient(shop.app).websocket_connect("ws://localhost:8000/live", headers=headers) as live:
            live.send_json(message)
            return live.receive_json()

    assert first({**cookie, "origin": HTTP}, {})["email"] == EMAIL
    assert first({**cookie, "origin": "http://evil.test"}, {})["code"] == "forbidden"
    assert first(cookie, {})["code"] == "forbidden"
    assert first({}, {"token": token})["email"] == EMAIL
    assert first({}, {}) is None
    assert first({}, {"token": "x"})["code"] == "unauthenticated"
