"""What is asked of issuers, how often, and what of their word is believed."""

import json
from typing import Any

import httpx2
import pytest
from tests.support.issuer import FakeIssuer, published

from penstock.accounts.issuers import (
    FRESH_S,
    LEFT_ALONE_S,
    LOOK_AGAIN_S,
    STALE_S,
    Issuer,
    IssuerUnavailableError,
    usable,
)
from penstock.kit.clock import ManualClock
from penstock.kit.json_client import MAX_BYTES, JsonClient, JsonUnavailableError

DISCOVERY, KEYS = "/.well-known/openid-configuration", "/.well-known/jwks.json"


def made(fake: FakeIssuer) -> tuple[Issuer, ManualClock]:
    clock = ManualClock()
    return Issuer(fake.url, fake.client(), clock), clock


async def test_what_it_says_is_asked_once_an_hour() -> None:
    fake = FakeIssuer()
    issuer, clock = made(fake)
    for _ in range(3):
        assert len(await issuer.keys("first")) == 1
    clock.advance(FRESH_S - 1)
    await issuer.keys("first")
    assert fake.asked == {DISCOVERY: 1, KEYS: 1}
    clock.advance(1)
    await issuer.keys("first")
    assert fake.asked == {DISCOVERY: 2, KEYS: 2}


async def test_a_new_key_is_found_at_once_and_invented_ones_are_not_looked_for_again_and_again() -> None:
    fake = FakeIssuer()
    issuer, clock = made(fake)
    await issuer.keys("first")
    fake.keys = [published("first"), published("second")]

    assert len(await issuer.keys("second")) == 1
    for number in range(20):
        assert await issuer.keys(f"invented-{number}") == ()
    assert fake.asked[KEYS] == 2
    clock.advance(LOOK_AGAIN_S)
    assert await issuer.keys("invented") == ()
    assert fake.asked[KEYS] == 3


async def test_a_key_that_was_withdrawn_is_forgotten() -> None:
    fake = FakeIssuer(keys=[published("first"), published("second")])
    issuer, clock = made(fake)
    await issuer.keys("first")
    fake.keys = [published("second")]
    clock.advance(FRESH_S)

    assert await issuer.keys("first") == ()


async def test_an_issuer_that_is_away_is_left_alone_and_its_keys_hold_for_a_day() -> None:
    fake = FakeIssuer()
    issuer, clock = made(fake)
    await issuer.keys("first")
    fake.broken = True
    clock.advance(FRESH_S)
    for _ in range(5):
        assert len(await issuer.keys("first")) == 1
    assert fake.asked == {DISCOVERY: 2, KEYS: 2}
    clock.advance(STALE_S)
    with pytest.raises(IssuerUnavailableError):
        await issuer.keys("first")
    fake.broken = False
    clock.advance(LEFT_ALONE_S)
    assert len(await issuer.keys("first")) == 1


@pytest.mark.parametrize(
    "says",
    [
        {"issuer": "https://other.test"},
        {"issuer": "https://issuer.test/"},
        {"token_endpoint": "http://issuer.test/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "https://["},
        {"authorization_endpoint": 7},
        {"userinfo_endpoint": "http://issuer.test/userinfo"},
    ],
)
async def test_an_issuer_that_says_odd_things_of_itself_is_not_used(says: dict[str, Any]) -> None:
    issuer, _ = made(FakeIssuer(says=says))

    with pytest.raises(IssuerUnavailableError):
        await issuer.endpoints()


@pytest.mark.parametrize("keys", [None, {}, "keys"])
async def test_an_issuer_without_keys_is_not_used(keys: Any) -> None:
    issuer, _ = made(FakeIssuer(keys=keys))

    with pytest.raises(IssuerUnavailableError):
        await issuer.keys("first")


async def test_how_the_secret_goes_is_the_providers_choice() -> None:
    usual, form = (
        FakeIssuer(says=says) for says in ({}, {"token_endpoint_auth_methods_supported": ["client_secret_post"]})
    )
    assert not (await made(usual)[0].endpoints()).secret_in_form
    assert (await made(form)[0].endpoints()).secret_in_form


@pytest.mark.parametrize(
    ("changes", "algorithm"),
    [
        ({"use": "enc"}, "RS256"),
        ({"alg": "RS512"}, "RS256"),
        ({}, "ES256"),
        ({"alg": "ES256"}, "ES256"),
        ({"alg": "HS256"}, "HS256"),
        ({"n": "!"}, "RS256"),
        ({"n": None}, "RS256"),
    ],
)
def test_a_key_serves_only_for_what_it_is_meant_for(changes: dict[str, Any], algorithm: str) -> None:
    assert usable(published("first"), "RS256") is not None
    assert usable(published("first", **changes), algorithm) is None


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json=["a list"]),
        httpx2.Response(200, content=json.dumps({"x": "x" * MAX_BYTES})),
        httpx2.Response(200, content=b"[" * 100_000),
    ],
)
async def test_answers_that_are_no_small_json_objects_are_refused(answer: httpx2.Response) -> None:
    client = JsonClient(httpx2.MockTransport(lambda _: answer))

    with pytest.raises(JsonUnavailableError):
        await client.get("https://issuer.test/x")
    await client.close()


async def test_no_redirect_is_followed() -> None:
    asked = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(302, headers={"location": "http://169.254.169.254/"}, json={})

    assert not (await JsonClient(httpx2.MockTransport(answer)).get("https://issuer.test/x")).ok
    assert asked == ["https://issuer.test/x"]
