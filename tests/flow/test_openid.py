"""Signing in at a real OpenID provider: code, PKCE, state and nonce over HTTP, and what becomes of accounts."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from penstock.accounts import people
from penstock.product.schema import Product
from tests.support.flows import PRODUCT, make_product
from tests.support.openid_server import CLIENT_SECRET, SECRET_ENV, OpenIdServer, openid_server
from tests.support.servers import API, BASE, PASSWORD, Running, running, settings_in


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdServer]:
    with openid_server() as server:
        yield server


@dataclass
class Shop:
    """A product that knows the provider."""

    run: Running
    provider: OpenIdServer

    @property
    def browser(self) -> httpx2.AsyncClient:
        return self.run.client

    async def leave(self, name: str = "real", **query: str) -> str:
        """Press the button, and return where the browser is sent."""
        answer = await self.browser.get(f"{API}/auth/openid/{name}", params=query)
        assert answer.status_code == 303, answer.text
        return answer.headers["location"]

    async def sign_in(self, login: str, name: str = "real", **query: str) -> httpx2.Response:
        """Go all the way, and return what the product answers at the end."""
        back = await self.provider.pass_through(await self.leave(name, **query), login)
        return await self.browser.get(back)

    async def me(self) -> dict[str, Any]:
        body: dict[str, Any] = (await self.browser.get(f"{API}/me")).json()
        return body


@asynccontextmanager
async def shop(folder: Path, provider: OpenIdServer, product: Product | None = None) -> AsyncIterator[Shop]:
    settings = replace(settings_in(folder), public_url=BASE)
    used = product or make_product(sign_in={"openid": provider.product_table()})
    async with running(
        folder, product=used, works=False, settings=settings, environment={SECRET_ENV: CLIENT_SECRET}
    ) as run:
        run.client.headers["sec-fetch-site"] = "same-origin"
        yield Shop(run, provider)


@pytest.mark.parametrize("name", ["real", "public"])
async def test_a_stranger_gets_an_account_and_comes_back_to_it(
    tmp_path: Path, provider: OpenIdServer, name: str
) -> None:
    async with shop(tmp_path, provider) as made:
        first = await made.sign_in(f"stranger-{name}", name, next="/pricing?x=1")
        account = await made.me()
        refreshed = await made.browser.post(f"{API}/auth/refresh")
        made.browser.cookies.clear()
        await made.sign_in(f"stranger-{name}", name)
        again = await made.me()

    assert (first.status_code, first.headers["location"]) == (303, f"{BASE}/pricing?x=1")
    assert (account["email"], account["verified"]) == (f"stranger-{name}@example.org", True)
    assert (account["role"], account["credits"]["available"]) == ("customer", 3)
    assert refreshed.status_code == 200
    assert again["id"] == account["id"]


async def test_the_way_out_carries_a_challenge_a_state_and_a_nonce(tmp_path: Path, provider: OpenIdServer) -> None:
    async with shop(tmp_path, provider) as made:
        first, second = [parse_qs(urlsplit(await made.leave()).query) for _ in range(2)]
        kept = await made.run.services.database.read(lambda tx: tx.all("SELECT * FROM sign_ins"))

    assert (first["response_type"], first["code_challenge_method"]) == (["code"], ["S256"])
    assert first["redirect_uri"] == [f"{BASE}{API}/auth/openid/real/callback"]
    assert first["scope"] == ["openid email"]
    for secret in ("state", "nonce", "code_challenge"):
        assert len(first[secret][0]) >= 43
        assert first[secret] != second[secret]
        assert first[secret][0] not in str(kept)


async def test_a_visitor_keeps_the_work(tmp_path: Path, provider: OpenIdServer) -> None:
    gratis = {"gratis": {**PRODUCT["operations"]["echo"], "price": 0}}
    ways = {"anonymous": True, "openid": provider.product_table()}
    async with shop(tmp_path, provider, make_product(sign_in=ways, operations=gratis)) as made:
        job = (await made.browser.post(f"{API}/jobs", json={"operation": "gratis"})).json()
        visitor = await made.me()
        arrived = await made.sign_in("formerly")
        customer = await made.me()
        jobs = (await made.browser.get(f"{API}/jobs")).json()["items"]

    assert visitor["visitor"]
    assert customer["id"] == visitor["id"]
    assert not customer["visitor"]
    assert customer["credits"]["available"] == 3
    assert [each["id"] for each in jobs] == [job["id"]]
    assert "penstock_visitor=; Path=/; Max-Age=0" in ", ".join(arrived.headers.get_list("set-cookie"))


async def test_an_account_that_confirmed_the_address_is_joined(tmp_path: Path, provider: OpenIdServer) -> None:
    async with shop(tmp_path, provider) as made:
        account_id = await registered(made, "joins@example.org")
        await made.run.services.database.write(people.set_verified, account_id)
        arrived = await made.sign_in("joins")
        me = await made.me()

    assert arrived.status_code == 303
    assert me["id"] == account_id


async def test_an_account_that_did_not_is_not_opened_by_anybody_else(tmp_path: Path, provider: OpenIdServer) -> None:
    """Or somebody could open an account with another's address, wait for the owner, and share it with them."""
    async with shop(tmp_path, provider) as made:
        await registered(made, "hijacked@example.org")
        refused = await made.sign_in("hijacked")
        me = await made.browser.get(f"{API}/me")

    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert "confirm" in refused.json()["detail"]
    assert "set-cookie" in refused.headers  # the way's is taken away
    assert me.status_code == 401


async def test_an_address_that_nobody_vouches_for_is_not_taken(tmp_path: Path, provider: OpenIdServer) -> None:
    async with shop(tmp_path, provider) as made:
        account_id = await registered(made, "doubtful-ann@example.org")
        await made.run.services.database.write(people.set_verified, account_id)
        await made.sign_in("doubtful-ann")
        me = await made.me()

    assert me["id"] != account_id
    assert (me["email"], me["visitor"]) == (None, False)


async def test_one_who_refuses_there_is_not_signed_in_here(tmp_path: Path, provider: OpenIdServer) -> None:
    async with shop(tmp_path, provider) as made:
        back = await provider.pass_through(await made.leave(), None)
        program = await made.browser.get(back)
        back = await provider.pass_through(await made.leave(), None)
        browser = await made.browser.get(back, headers={"accept": "text/html,*/*"})

    assert (program.status_code, program.json()["code"]) == (401, "unauthenticated")
    assert "Real did not sign you in" in program.json()["detail"]
    assert (browser.status_code, browser.headers["location"]) == (303, f"{BASE}/sign-in")
    assert "penstock_told=%7B%22code%22%3A%20%22unauthenticated" in browser.headers["set-cookie"]


async def test_a_way_is_good_once_and_in_its_own_browser_only(tmp_path: Path, provider: OpenIdServer) -> None:
    async with shop(tmp_path, provider) as made:
        back = await provider.pass_through(await made.leave(), "ann")
        own = dict(made.browser.cookies)
        made.browser.cookies.clear()
        foreign = await made.browser.get(back)  # a link that somebody was sent, to sign them in as somebody else
        await made.leave()
        another = await made.browser.get(back)
        made.browser.cookies.clear()
        made.browser.cookies.update(own)
        wrong = await made.browser.get(back.replace("state=", "state=0"))
        made.browser.cookies.clear()
        back = await provider.pass_through(await made.leave(), "ann")
        own = dict(made.browser.cookies)
        right = await made.browser.get(back)
        made.browser.cookies.clear()
        made.browser.cookies.update(own)
        replayed = await made.browser.get(back)

    assert right.status_code == 303
    for refused in (foreign, another, wrong, replayed):
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
        assert "start again" in refused.json()["detail"]


async def test_a_code_of_another_way_is_worth_nothing(tmp_path: Path, provider: OpenIdServer) -> None:
    """Whoever got hold of somebody's code can't put it into a way of their own: it lacks the verifier."""
    async with shop(tmp_path, provider) as made:
        stolen = parse_qs(urlsplit(await provider.pass_through(await made.leave(), "victim")).query)["code"][0]
        made.browser.cookies.clear()
        back = await provider.pass_through(await made.leave(), "thief")
        code = parse_qs(urlsplit(back).query)["code"][0]
        injected = await made.browser.get(back.replace(code, stolen))

    assert (injected.status_code, injected.json()["code"]) == (401, "unauthenticated")


async def test_a_way_of_one_provider_does_not_lead_back_from_another(tmp_path: Path, provider: OpenIdServer) -> None:
    async with shop(tmp_path, provider) as made:
        back = await provider.pass_through(await made.leave("real"), "ann")
        crossed = await made.browser.get(back.replace("/openid/real/", "/openid/public/"))

    assert (crossed.status_code, crossed.json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "/\t/evil.test",
        "javascript:alert(1)",
        "/api/v1/auth/logout",
    ],
)
async def test_nobody_is_led_off_the_site(tmp_path: Path, provider: OpenIdServer, wanted: str) -> None:
    async with shop(tmp_path, provider) as made:
        arrived = await made.sign_in("led", next=wanted)

    assert arrived.headers["location"] == f"{BASE}/"


async def test_without_its_secret_a_provider_is_off(tmp_path: Path, provider: OpenIdServer) -> None:
    product = make_product(sign_in={"methods": [], "openid": provider.product_table()})
    async with running(tmp_path, product=product, works=False) as run:
        shown = (await run.client.get(f"{API}/product")).json()["sign_in"]
        off = await run.client.get(f"{API}/auth/openid/real")
        nowhere = await run.client.get(f"{API}/auth/openid/public")
        body = {"email": "ann@example.org", "password": PASSWORD}
        passwords = [
            (await run.client.post(f"{API}/auth/{way}", json=body)).status_code for way in ("register", "login")
        ]

    assert (shown["methods"], shown["openid"]) == (["openid"], [{"id": "public", "title": "Public"}])
    assert (off.status_code, off.json()["code"]) == (404, "not_found")
    assert (nowhere.status_code, nowhere.json()["code"]) == (503, "unavailable")  # nobody says where to come back to
    assert passwords == [403, 403]


async def registered(made: Shop, email: str) -> str:
    """Sign somebody up with a password, and out again."""
    answer = await made.browser.post(f"{API}/auth/register", json={"email": email, "password": PASSWORD})
    made.browser.cookies.clear()
    account_id: str = answer.json()["account"]["id"]
    return account_id
