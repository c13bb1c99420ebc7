"""Links by mail over HTTP: an address is confirmed, a forgotten password replaced; used once, for a short time."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from penstock.kit.clock import ManualClock
from penstock.product.settings import Settings
from tests.support.servers import API, PASSWORD, SECRET, Customer, Running, running

NEW = "quite another password"
LINK = re.compile(r"http://localhost:8000/(verify|reset)#(\S+)")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def run(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Running]:
    settings = Settings(data_dir=tmp_path, secret=SECRET, public_url="http://localhost:8000")
    async with running(tmp_path, works=False, clock=clock, settings=settings) as opened:
        yield opened


async def letters(run: Running) -> list[dict[str, Any]]:
    """Return what the outbox page shows, newest first."""
    answer = await run.client.get(f"{API}/outbox")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def token(run: Running, kind: str) -> str:
    """Return the token of the newest link of a kind."""
    for letter in await letters(run):
        if (found := LINK.search(letter["text"])) and found[1] == kind:
            return found[2]
    raise AssertionError(f"there is no link of the kind {kind}")


async def post(run: Running, path: str, **values: str) -> httpx2.Response:
    answer = await run.client.post(API + path, json=values)
    run.client.cookies.clear()
    return answer


async def login(run: Running, customer: Customer, password: str) -> int:
    return (await post(run, "/auth/login", email=customer.email, password=password)).status_code


def code_of(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_new_customer_gets_a_link_that_confirms_the_address(run: Running) -> None:
    ann = await run.customer()
    assert (await ann.get("/me")).json()["verified"] is False
    (letter,) = await letters(run)
    assert letter["to"] == ann.email
    assert letter["subject"] == "Confirm your address for Testing"

    proven = await token(run, "verify")
    answer = await post(run, "/auth/verify", token=proven)
    assert (answer.status_code, answer.json()["verified"]) == (200, True)
    assert (await ann.get("/me")).json()["verified"] is True
    assert code_of(await post(run, "/auth/verify", token=proven)) == (422, "invalid_input")
    assert code_of(await ann.post("/auth/verify/send")) == (409, "wrong_state")


async def test_the_link_may_be_asked_for_again_and_one_use_ends_all(run: Running) -> None:
    ann = await run.customer()
    first = await token(run, "verify")
    assert (await ann.post("/auth/verify/send")).status_code == 204
    second = await token(run, "verify")
    assert first != second

    assert (await post(run, "/auth/verify", token=first)).status_code == 200
    assert (await post(run, "/auth/verify", token=second)).status_code == 422


async def test_a_forgotten_password_is_replaced_and_every_session_ends(run: Running) -> None:
    ann = await run.customer()
    assert (await post(run, "/auth/reset", email=ann.email.upper())).status_code == 204
    link = await token(run, "reset")
    assert await login(run, ann, PASSWORD) == 200

    answer = await post(run, "/auth/reset/confirm", token=link, password=NEW)
    assert answer.status_code == 200
    assert (await ann.get("/me")).status_code == 401
    assert (await login(run, ann, PASSWORD), await login(run, ann, NEW)) == (401, 200)
    signed_in = replace(ann, token=answer.json()["access_token"])
    assert (await signed_in.get("/me")).json()["verified"] is True
    assert code_of(await post(run, "/auth/reset/confirm", token=link, password=PASSWORD)) == (422, "invalid_input")


async def test_a_weak_password_is_refused_and_the_link_stays_good(run: Running) -> None:
    ann = await run.customer()
    await post(run, "/auth/reset", email=ann.email)
    link = await token(run, "reset")
    refused = await post(run, "/auth/reset/confirm", token=link, password="12345678")

    assert [error["field"] for error in refused.json()["errors"]] == ["password"]
    assert (await post(run, "/auth/reset/confirm", token=link, password=NEW)).status_code == 200


@pytest.mark.parametrize(("kind", "lasts_s"), [("verify", 3 * 86_400), ("reset", 3_600)])
async def test_a_link_works_for_a_while_only(run: Running, clock: ManualClock, kind: str, lasts_s: float) -> None:
    ann = await run.customer()
    await post(run, "/auth/reset", email=ann.email)
    link = await token(run, kind)
    clock.advance(lasts_s)
    path = "/auth/verify" if kind == "verify" else "/auth/reset/confirm"

    assert code_of(await post(run, path, token=link, password=NEW)) == (422, "invalid_input")
    assert await run.services.proofs.sweep() >= 1


async def test_a_link_of_one_kind_is_none_of_the_other(run: Running) -> None:
    ann = await run.customer()
    await post(run, "/auth/reset", email=ann.email)

    assert (await post(run, "/auth/verify", token=await token(run, "reset"))).status_code == 422
    confirmed = await post(run, "/auth/reset/confirm", token=await token(run, "verify"), password=NEW)
    assert confirmed.status_code == 422


async def test_asking_tells_nothing_about_who_has_an_account(run: Running) -> None:
    ann = await run.customer()
    known = await post(run, "/auth/reset", email=ann.email)
    unknown = await post(run, "/auth/reset", email="nobody@example.org")

    assert (known.status_code, known.content) == (unknown.status_code, unknown.content) == (204, b"")
    assert [letter["to"] for letter in await letters(run)] == [ann.email, ann.email]


async def test_letters_are_counted_for_known_and_unknown_addresses_alike(run: Running, clock: ManualClock) -> None:
    ann = await run.customer()
    for email in (ann.email, "nobody@example.org"):
        statuses = [(await post(run, "/auth/reset", email=email)).status_code for _ in range(4)]
        assert statuses == [204, 204, 204, 429]

    clock.advance(1_300)
    assert (await post(run, "/auth/reset", email=ann.email)).status_code == 204


async def test_one_network_can_not_send_letters_to_everybody(run: Running) -> None:
    answers = [(await post(run, "/auth/reset", email=f"n{n}@example.org")).status_code for n in range(21)]

    assert answers == [204] * 20 + [429]


async def test_tokens_are_not_in_the_database(run: Running) -> None:
    await run.customer()
    link = await token(run, "verify")
    kept = await run.services.database.read(lambda tx: tx.all("SELECT * FROM proofs"))

    assert len(kept) == 1
    assert link not in str(kept)


async def test_a_link_never_leads_where_the_request_says(tmp_path: Path, clock: ManualClock) -> None:
    """Otherwise anybody could have somebody else's link sent to their own server."""
    settings = Settings(data_dir=tmp_path, secret=SECRET)
    async with running(tmp_path, works=False, clock=clock, settings=settings) as run:
        ann = await run.customer()
        forged = {"host": "evil.example"}
        answer = await run.client.post(f"{API}/auth/reset", json={"email": ann.email}, headers=forged)
        assert code_of(answer) == (503, "unavailable")
        here = {"host": "127.0.0.1:8000"}
        answer = await run.client.post(f"{API}/auth/reset", json={"email": ann.email}, headers=here)
        assert answer.status_code == 204
        assert [each["text"].count("http://127.0.0.1:8000/reset#") for each in await letters(run)] == [1]


async def test_where_no_mail_is_set_up_nothing_is_promised(tmp_path: Path, clock: ManualClock) -> None:
    settings = Settings(data_dir=tmp_path, secret=SECRET, public_url="https://photos.example.org")
    async with running(tmp_path, works=False, clock=clock, settings=settings) as run:
        ann = await run.customer()
        assert code_of(await post(run, "/auth/reset", email=ann.email)) == (503, "unavailable")
        assert code_of(await ann.post("/auth/verify/send")) == (503, "unavailable")
        assert (await run.client.get(f"{API}/outbox")).status_code == 404


async def test_a_blocked_account_gets_no_new_session(run: Running) -> None:
    ann = await run.customer()
    await post(run, "/auth/reset", email=ann.email)
    link = await token(run, "reset")
    await run.services.database.write(run.services.accounts.block, ann.id, "Abuse", None)

    assert code_of(await post(run, "/auth/reset/confirm", token=link, password=NEW)) == (403, "blocked")
    await run.services.database.write(run.services.accounts.unblock, ann.id)
    assert await login(run, ann, PASSWORD) == 200
