"""Tokens of others that must not be taken: ID tokens on the way back, sessions of Clerk and Auth0 in any call."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from penstock.accounts import people
from penstock.accounts.openid import WAY_S
from penstock.app import wiring
from penstock.kit.clock import ManualClock
from tests.support.flows import PRODUCT, make_product
from tests.support.issuer import (
    CLIENT_ID,
    NOW,
    FakeIssuer,
    claims_of,
    published,
    signed,
    signed_with_public_key,
    unsigned,
)
from tests.support.servers import API, BASE, PASSWORD, Running, running, settings_in

pytestmark = pytest.mark.embedded

CLERK, AUTH0, OPENID = "https://clerk.test", "https://tenant.auth0.test/", "https://issuer.test"
AUDIENCE, OURS = "https://api.penstock.test", "https://app.penstock.test"
OWN_PAGE = {"sec-fetch-site": "same-origin"}
Ways = dict[str, Any]
OPENID_WAY: Ways = {"openid": {"fake": {"title": "Fake", "issuer": OPENID, "client_id": CLIENT_ID}}}
CLERK_WAY: Ways = {"clerk": {"issuer": CLERK, "origins": [OURS]}}
AUTH0_WAY: Ways = {"auth0": {"issuer": AUTH0, "audience": AUDIENCE}}


@asynccontextmanager
async def product(
    folder: Path, ways: Ways, fake: FakeIssuer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Running]:
    monkeypatch.setattr(wiring, "JsonClient", fake.client)
    gratis = {"gratis": {**PRODUCT["operations"]["echo"], "price": 0}}
    settings = replace(settings_in(folder), public_url=BASE)
    offered = make_product(sign_in={"anonymous": True, **ways}, operations=gratis)
    async with running(folder, product=offered, works=False, settings=settings, clock=ManualClock()) as run:
        yield run


async def come_back(
    run: Running,
    fake: FakeIssuer,
    sign: Callable[[dict[str, Any]], str],
    *,
    between: Callable[[], None] = lambda: None,
    **claims: Any,
) -> httpx2.Response:
    """Go to the provider and come back with an ID token of these claims; `between` happens there."""
    left = await run.client.get(f"{API}/auth/openid/fake")
    question = {name: value[0] for name, value in parse_qs(urlsplit(left.headers["location"]).query).items()}
    between()
    right = {"aud": CLIENT_ID, "nonce": question["nonce"]}
    fake.tokens = {"id_token": sign(claims_of(OPENID, **(right | claims))), "access_token": "at"}
    return await run.client.get(f"{API}/auth/openid/fake/callback", params={"code": "c", "state": question["state"]})


GOOD: list[tuple[dict[str, Any], Callable[[dict[str, Any]], str]]] = [
    ({}, signed),
    ({"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}, signed),
    ({"exp": NOW - 3, "iat": NOW - 60}, signed),
    ({"iat": NOW + 3, "nbf": NOW + 3}, signed),
    ({}, lambda claims: signed(claims, algorithm="PS256")),
]
BAD: dict[str, tuple[dict[str, Any], Callable[[dict[str, Any]], str]]] = {
    "another issuer": ({"iss": "https://evil.test"}, signed),
    "its name without care": ({"iss": OPENID + "/"}, signed),
    "another audience": ({"aud": "somebody-else"}, signed),
    "no audience": ({"aud": None}, signed),
    "several audiences and no azp": ({"aud": [CLIENT_ID, "other"]}, signed),
    "asked for by another": ({"azp": "somebody-else"}, signed),
    "expired": ({"exp": NOW - 20, "iat": NOW - 90}, signed),
    "no end": ({"exp": None}, signed),
    "an end that is no time": ({"exp": "never"}, signed),
    "an end that is no number": ({"exp": float("nan")}, signed),
    "not yet valid": ({"nbf": NOW + 60}, signed),
    "made in the future": ({"iat": NOW + 60}, signed),
    "another nonce": ({"nonce": "0" * 64}, signed),
    "no nonce": ({"nonce": None}, signed),
    "nobody": ({"sub": ""}, signed),
    "an odd subject": ({"sub": "a\0b"}, signed),
    "no signature": ({}, unsigned),
    "the public key as a secret": ({}, signed_with_public_key),
    "an unknown key": ({}, lambda claims: signed(claims, "second")),
    "another's key under a known name": ({}, lambda claims: signed(claims, "second", kid="first")),
    "an algorithm that the key is not for": ({}, lambda claims: signed(claims, algorithm="RS512")),
    "no token at all": ({}, lambda claims: "not.a.token"),
}


@pytest.mark.parametrize(("claims", "sign"), GOOD)
async def test_an_id_token_that_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claims: dict[str, Any], sign: Callable[..., str]
) -> None:
    fake = FakeIssuer(keys=[published("first", alg=None) | {"alg": "PS256" if sign is not signed else "RS256"}])
    async with product(tmp_path, OPENID_WAY, fake, monkeypatch) as run:
        arrived = await come_back(run, fake, sign, **claims)
        me = (await run.client.get(f"{API}/me")).json()

    assert arrived.status_code == 303
    assert (me["visitor"], me["email"]) == (False, None)


@pytest.mark.parametrize("why", BAD)
async def test_an_id_token_that_does_not_hold_signs_nobody_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    claims, sign = BAD[why]
    fake = FakeIssuer()
    async with product(tmp_path, OPENID_WAY, fake, monkeypatch) as run:
        refused = await come_back(run, fake, sign, **claims)
        accounts = await run.services.database.read(lambda tx: tx.value("SELECT count(*) FROM accounts"))

    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    assert "could not be verified" in refused.json()["detail"]
    assert accounts == 0


async def test_an_issuer_that_names_itself_must_and_nobody_else_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeIssuer(says={"authorization_response_iss_parameter_supported": True})
    async with product(tmp_path, OPENID_WAY, fake, monkeypatch) as run:
        silent = await come_back(run, fake, signed)
        left = await run.client.get(f"{API}/auth/openid/fake")
        state = parse_qs(urlsplit(left.headers["location"]).query)["state"][0]
        sent = {"code": "c", "state": state, "iss": "https://evil.test"}
        mixed_up = await run.client.get(f"{API}/auth/openid/fake/callback", params=sent)

    assert silent.status_code == mixed_up.status_code == 401
    assert fake.asked["/token"] == 0  # the code was shown to nobody


async def test_the_address_may_lie_in_userinfo_of_the_same_person_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeIssuer(says={"userinfo_endpoint": f"{OPENID}/userinfo"})
    fake.userinfo = {"sub": "another", "email": "Ann@Example.org", "email_verified": True}
    async with product(tmp_path, OPENID_WAY, fake, monkeypatch) as run:
        refused = await come_back(run, fake, signed)
        fake.userinfo["sub"] = "person"
        taken = await come_back(run, fake, signed)
        me = (await run.client.get(f"{API}/me")).json()
        await come_back(run, fake, signed)

    assert (refused.status_code, taken.status_code) == (401, 303)
    assert (me["email"], me["verified"]) == ("ann@example.org", True)
    assert fake.asked["/userinfo"] == 2  # of somebody known, nothing is asked


async def test_a_word_is_no_vouching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeIssuer()
    async with product(tmp_path, OPENID_WAY, fake, monkeypatch) as run:
        await come_back(run, fake, signed, email="ann@example.org", email_verified="true")
        me = (await run.client.get(f"{API}/me")).json()

    assert me["email"] is None


async def test_a_provider_that_is_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeIssuer(broken=True)
    async with product(tmp_path, OPENID_WAY, fake, monkeypatch) as run:
        refused = await run.client.get(f"{API}/auth/openid/fake")

    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert "Fake does not answer" in refused.json()["detail"]


def clerk(**claims: Any) -> str:
    return signed(claims_of(CLERK, azp=OURS) | claims)


def auth0(**claims: Any) -> str:
    return signed(claims_of(AUTH0, aud=[AUDIENCE, "https://tenant/userinfo"]) | claims)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("ways", "url", "token"),
    [
        (CLERK_WAY, CLERK, clerk()),
        (CLERK_WAY, CLERK, signed(claims_of(CLERK))),  # asked for by no browser
        (AUTH0_WAY, AUTH0, auth0()),
        (AUTH0_WAY, AUTH0, auth0(aud=AUDIENCE)),
    ],
)
async def test_a_session_elsewhere_is_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: Ways, url: str, token: str
) -> None:
    fake = FakeIssuer(url)
    async with product(tmp_path, ways, fake, monkeypatch) as run:
        first, again = [(await run.client.get(f"{API}/me", headers=bearer(token))).json() for _ in range(2)]
        shown = (await run.client.get(f"{API}/product")).json()["sign_in"]["methods"]

    assert first["id"] == again["id"]
    assert (first["role"], first["visitor"], first["email"]) == ("customer", False, None)
    assert shown == ["password", *ways]
    assert dict(fake.asked) == {"/.well-known/jwks.json": 1}


REFUSED: dict[str, tuple[Ways, str]] = {
    "Clerk: another origin": (CLERK_WAY, clerk(azp="https://evil.test")),
    "Clerk: not complete": (CLERK_WAY, clerk(sts="pending")),
    "Clerk: another issuer": (CLERK_WAY, clerk(iss="https://evil.clerk.test")),
    "Clerk: expired": (CLERK_WAY, clerk(exp=NOW - 20, iat=NOW - 90)),
    "Clerk: not yet": (CLERK_WAY, clerk(nbf=NOW + 60)),
    "Clerk: unsigned": (CLERK_WAY, unsigned(claims_of(CLERK))),
    "Clerk: HS256 with the public key": (CLERK_WAY, signed_with_public_key(claims_of(CLERK))),
    "Clerk: PS256": (CLERK_WAY, signed(claims_of(CLERK), algorithm="PS256")),
    "Clerk: unknown key": (CLERK_WAY, signed(claims_of(CLERK), "second")),
    "Clerk: another's key": (CLERK_WAY, signed(claims_of(CLERK), "second", kid="first")),
    "Auth0: another audience": (AUTH0_WAY, auth0(aud="https://other")),
    "Auth0: none": (AUTH0_WAY, signed(claims_of(AUTH0))),
    "Auth0: its name without the slash": (AUTH0_WAY, auth0(iss=AUTH0.rstrip("/"))),
    "Auth0: expired": (AUTH0_WAY, auth0(exp=NOW - 20)),
    "Auth0: unsigned": (AUTH0_WAY, unsigned(claims_of(AUTH0, aud=AUDIENCE))),
    "nobody takes it": (OPENID_WAY, clerk()),
    "no token": (AUTH0_WAY, "a.b.c"),
    "too long": (AUTH0_WAY, auth0(padding="x" * 20_000)),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_a_session_that_does_not_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    ways, token = REFUSED[why]
    fake = FakeIssuer(CLERK if why.startswith("Clerk") else AUTH0)
    async with product(tmp_path, ways, fake, monkeypatch) as run:
        refused = await run.client.get(f"{API}/me", headers=bearer(token))
        accounts = await run.services.database.read(lambda tx: tx.value("SELECT count(*) FROM accounts"))

    assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated")
    assert "sign in again" in refused.json()["detail"]
    assert accounts == 0


async def test_invented_keys_do_not_hammer_the_issuer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeIssuer(CLERK)
    async with product(tmp_path, CLERK_WAY, fake, monkeypatch) as run:
        for number in range(10):
            token = signed(claims_of(CLERK), "second", kid=f"invented-{number}")
            assert (await run.client.get(f"{API}/me", headers=bearer(token))).status_code == 401

    assert fake.asked["/.well-known/jwks.json"] == 2


async def test_roles_are_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = {"role": "admin", "o": {"rol": "admin", "per": "org:admin"}, "permissions": ["admin"]}
    async with product(tmp_path, CLERK_WAY, FakeIssuer(CLERK), monkeypatch) as run:
        headers = bearer(clerk(**claims))
        before = (await run.client.get(f"{API}/me", headers=headers)).json()
        await run.services.database.write(run.services.accounts.set_role, before["id"], "support")
        after = (await run.client.get(f"{API}/me", headers=headers)).json()

    assert (before["role"], after["role"]) == ("customer", "support")


async def test_who_is_blocked_here_is_not_let_in_by_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with product(tmp_path, CLERK_WAY, FakeIssuer(CLERK), monkeypatch) as run:
        account = (await run.client.get(f"{API}/me", headers=bearer(clerk()))).json()["id"]
        await run.services.database.write(run.services.accounts.block, account, "For a test", None)
        refused = await run.client.get(f"{API}/me", headers=bearer(clerk()))

    assert (refused.status_code, refused.json()["code"]) == (403, "blocked")
    assert "For a test" in refused.json()["detail"]


async def test_a_visitors_work_comes_along_from_our_own_page_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with product(tmp_path, CLERK_WAY, FakeIssuer(CLERK), monkeypatch) as run:
        await run.client.post(f"{API}/jobs", json={"operation": "gratis"}, headers=OWN_PAGE)
        visitor = (await run.client.get(f"{API}/me", headers=OWN_PAGE)).json()["id"]
        other_page = {"sec-fetch-site": "cross-site", "origin": "https://evil.test"}
        thief = (await run.client.get(f"{API}/me", headers=bearer(clerk(sub="thief")) | other_page)).json()["id"]
        owner = (await run.client.get(f"{API}/me", headers=bearer(clerk(sub="owner")) | OWN_PAGE)).json()["id"]

    assert thief != visitor
    assert owner == visitor


async def test_the_second_account_of_a_browser_gets_no_second_free_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeIssuer()
    async with product(tmp_path, OPENID_WAY, fake, monkeypatch) as run:
        seen = []
        for subject in ("first", "second"):
            await run.client.get(f"{API}/me", headers=OWN_PAGE)  # a visitor
            await come_back(run, fake, signed, sub=subject)
            seen.append((await run.client.get(f"{API}/me")).json()["credits"]["available"])
            await run.client.post(f"{API}/auth/logout", headers=OWN_PAGE)

    assert seen == [3, 0]


async def test_a_way_that_took_too_long_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, waits = FakeIssuer(), (WAY_S - 1, WAY_S)
    async with product(tmp_path, OPENID_WAY, fake, monkeypatch) as run:
        clock = run.services.clock
        assert isinstance(clock, ManualClock)
        answers = [
            await come_back(run, fake, signed, between=partial(clock.advance, wait), exp=NOW + 3_600) for wait in waits
        ]

    assert [answer.status_code for answer in answers] == [303, 401]
    assert "took too long" in answers[1].json()["detail"]


async def test_accounts_by_tokens_are_not_made_in_bulk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with product(tmp_path, CLERK_WAY, FakeIssuer(CLERK), monkeypatch) as run:
        made = [await run.client.get(f"{API}/me", headers=bearer(clerk(sub=f"robot {n}"))) for n in range(21)]
        known = await run.client.get(f"{API}/me", headers=bearer(clerk(sub="robot 0")))

    assert {answer.status_code for answer in made[:20]} == {200}
    assert (made[20].status_code, made[20].json()["code"]) == (429, "rate_limited")
    assert known.status_code == 200


async def test_clerks_cookie_counts_on_our_own_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with product(tmp_path, CLERK_WAY, FakeIssuer(CLERK), monkeypatch) as run:
        run.client.cookies.set("__session", clerk())
        me = (await run.client.get(f"{API}/me")).json()
        ours = await run.client.post(f"{API}/jobs", json={"operation": "gratis"}, headers=OWN_PAGE)
        theirs = await run.client.post(
            f"{API}/jobs", json={"operation": "gratis"}, headers={"origin": "https://evil.test"}
        )

    assert (me["visitor"], ours.status_code) == (False, 202)
    assert (theirs.status_code, theirs.json()["code"]) == (403, "forbidden")


async def test_without_clerk_its_cookie_means_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with product(tmp_path, AUTH0_WAY, FakeIssuer(AUTH0), monkeypatch) as run:
        run.client.cookies.set("__session", auth0())
        me = (await run.client.get(f"{API}/me")).json()

    assert me["visitor"]


async def test_an_address_that_clerk_vouches_for_joins_its_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with product(tmp_path, CLERK_WAY, FakeIssuer(CLERK), monkeypatch) as run:
        body = {"email": "ann@example.org", "password": PASSWORD}
        account = (await run.client.post(f"{API}/auth/register", json=body)).json()["account"]["id"]
        run.client.cookies.clear()
        token = clerk(email="ann@example.org", email_verified=True)
        refused = await run.client.get(f"{API}/me", headers=bearer(token))
        await run.services.database.write(people.set_verified, account)
        joined = (await run.client.get(f"{API}/me", headers=bearer(token))).json()["id"]

    assert (refused.status_code, refused.json()["code"]) == (409, "wrong_state")
    assert joined == account
