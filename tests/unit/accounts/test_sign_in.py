"""Sign up, sign in, refresh, sign out, over HTTP."""

import asyncio
from pathlib import Path

import httpx2
import pytest
from tests.unit.accounts.stage import (
    EMAIL,
    PASSWORD,
    Stage,
    bearer,
    cheap_hash,
    problem_of,
    service,
    stage,
)

from penstock.accounts.sessions import REFRESH_RACE_S, SESSION_IDLE_S, SESSION_MAX_S, SWEEP_ROWS


async def test_registration_signs_in_and_tells_the_rest_of_the_product_once(
    shop: Stage, program: httpx2.AsyncClient
) -> None:
    body = await shop.signed_up("  Ann@Example.ORG ")

    assert body["account"]["email"] == EMAIL
    assert body["account"]["plan"] == "free"
    assert body["account"]["role"] == "customer"
    assert body["expires_in_s"] == 900
    assert shop.created == [(body["account"]["id"], "free")]
    seen = (await program.get("/things", headers=bearer(body["access_token"]))).json()
    assert seen["account_id"] == body["account"]["id"]
    assert seen["email"] == EMAIL
    assert seen["scopes"] == ["read", "write"]


async def test_a_sign_up_that_the_product_refuses_leaves_nothing(shop: Stage, program: httpx2.AsyncClient) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("no credits to give")

    shop.accounts._on_account_created = refuse
    with pytest.raises(RuntimeError, match="no credits"):
        await program.post("/api/v1/auth/register", json={"email": EMAIL, "password": PASSWORD})

    assert await shop.value("SELECT count(*) FROM accounts") == 0
    assert await shop.value("SELECT count(*) FROM sessions") == 0


@pytest.mark.parametrize("again", [EMAIL, "ANN@example.org", " ann@EXAMPLE.org"])
async def test_a_taken_address_is_refused_on_its_field(shop: Stage, program: httpx2.AsyncClient, again: str) -> None:
    await shop.signed_up()

    answer = await program.post("/api/v1/auth/register", json={"email": again, "password": PASSWORD})

    assert problem_of(answer) == (422, "invalid_input")
    assert answer.json()["errors"][0]["field"] == "email"
    assert await shop.value("SELECT count(*) FROM accounts") == 1


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [
        ("no address", PASSWORD, "email"),
        ("ann@localhost", PASSWORD, "email"),
        (EMAIL, "short", "password"),
        (EMAIL, "x" * 257, "password"),
        (EMAIL, "Password123", "password"),
        (EMAIL, EMAIL.upper(), "password"),
    ],
)
async def test_a_bad_field_is_named(program: httpx2.AsyncClient, email: str, password: str, field: str) -> None:
    answer = await program.post("/api/v1/auth/register", json={"email": email, "password": password})

    assert problem_of(answer) == (422, "invalid_input")
    assert [each["field"] for each in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("where", ["register", "login"])
@pytest.mark.parametrize("body", [b'{"email": "a@b.org", "password": "\\ud800aaaaaaaaa"}', b"[]", b"", b"\xff", b"{"])
async def test_a_broken_body_is_no_server_error(program: httpx2.AsyncClient, where: str, body: bytes) -> None:
    answer = await program.post(f"/api/v1/auth/{where}", content=body, headers={"content-type": "application/json"})

    assert 400 <= answer.status_code < 500


async def test_sign_in_takes_the_address_in_any_case(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()

    answer = await program.post("/api/v1/auth/login", json={"email": "ANN@example.ORG", "password": PASSWORD})

    assert answer.status_code == 200
    assert answer.json()["account"] == body["account"]
    assert answer.json()["refresh_token"] != body["refresh_token"]


async def test_passwords_are_text_of_any_script_and_composition(shop: Stage, program: httpx2.AsyncClient) -> None:
    await shop.signed_up(password="пароль-caf\u00e9-密码")

    decomposed = {"email": EMAIL, "password": "пароль-cafe\u0301-密码"}
    assert (await program.post("/api/v1/auth/login", json=decomposed)).status_code == 200
    plain = {"email": EMAIL, "password": "пароль-cafe-密码"}
    assert (await program.post("/api/v1/auth/login", json=plain)).status_code == 401


async def test_a_failed_sign_in_never_says_what_was_wrong(shop: Stage, program: httpx2.AsyncClient) -> None:
    await shop.signed_up()
    tries = [
        {"email": EMAIL, "password": "not the password"},
        {"email": EMAIL, "password": "x" * 300},
        {"email": EMAIL, "password": ""},
        {"email": "nobody@example.org", "password": PASSWORD},
        {"email": "no address", "password": PASSWORD},
    ]

    answers = [await program.post("/api/v1/auth/login", json=each) for each in tries]

    assert {problem_of(answer) for answer in answers} == {(401, "unauthenticated")}
    assert len({answer.text for answer in answers}) == 1
    assert not any(answer.headers.get_list("set-cookie") for answer in answers)


async def test_an_unknown_address_costs_a_check_too(shop: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    hashers: list[str] = []
    real = shop.accounts._passwords._hasher.verify_and_update

    def counting(password: str, known: str) -> tuple[bool, str | None]:
        hashers.append(known)
        return real(password, known)

    monkeypatch.setattr(shop.accounts._passwords._hasher, "verify_and_update", counting)
    async with shop.client() as client:
        await client.post("/api/v1/auth/login", json={"email": "nobody@example.org", "password": "x" * 300})

    assert len(hashers) == 1


async def test_guessing_is_slowed_down_but_ends_no_session(shop: Stage) -> None:
    body = await shop.signed_up()
    guess = {"email": EMAIL, "password": "a wrong guess"}
    async with shop.client(address="198.51.100.9") as guesser, shop.client() as owner:
        answers = [await guesser.post("/api/v1/auth/login", json=guess) for _ in range(8)]
        right = await guesser.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})

        assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
        assert problem_of(right) == (429, "rate_limited")
        assert right.json()["retry_after_s"] > 0
        assert (await owner.get("/things", headers=bearer(body["access_token"]))).status_code == 200
        renewed = await owner.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})
        assert renewed.status_code == 200
        again = await owner.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
        assert again.status_code == 200


async def test_parallel_guesses_all_count(shop: Stage) -> None:
    await shop.signed_up()
    guess = {"email": EMAIL, "password": "a wrong guess"}
    async with shop.client() as guesser:
        answers = await asyncio.gather(*(guesser.post("/api/v1/auth/login", json=guess) for _ in range(20)))

    assert sum(answer.status_code == 401 for answer in answers) == 5


async def test_accounts_are_not_opened_in_bulk(shop: Stage) -> None:
    async with shop.client(address="198.51.100.9") as client:
        answers = [
            await client.post("/api/v1/auth/register", json={"email": f"a{n}@example.org", "password": PASSWORD})
            for n in range(21)
        ]

    assert [answer.status_code for answer in answers] == [201] * 20 + [429]


async def test_a_hash_of_older_parameters_is_renewed_at_sign_in(shop: Stage) -> None:
    await shop.signed_up()
    before = await shop.value("SELECT password_hash FROM accounts")
    newer = service(shop.database, shop.clock, hasher=cheap_hash(time_cost=2))
    shop.app.state.accounts = newer
    async with shop.client() as client:
        for _ in range(2):
            answer = await client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
            assert answer.status_code == 200

    after = await shop.value("SELECT password_hash FROM accounts")
    assert "t=1" in before
    assert "t=2" in after


async def test_a_password_changed_during_the_check_wins(shop: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await shop.signed_up()
    check = shop.accounts._passwords.check

    async def change_then_check(password: str, known: str | None) -> object:
        await shop.database.write(lambda tx: tx.run("UPDATE accounts SET password_hash = 'another'"))
        return await check(password, known)

    monkeypatch.setattr(shop.accounts._passwords, "check", change_then_check)
    async with shop.client() as client:
        answer = await client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})

    assert answer.status_code == 401
    assert await shop.value("SELECT password_hash FROM accounts") == "another"


async def test_refresh_rotates(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    shop.clock.advance(901)
    assert (await program.get("/things", headers=bearer(body["access_token"]))).status_code == 401

    renewed = await program.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})

    assert renewed.status_code == 200
    assert renewed.json()["refresh_token"] != body["refresh_token"]
    assert (await program.get("/things", headers=bearer(renewed.json()["access_token"]))).status_code == 200


async def test_reuse_of_a_refresh_token_kills_the_family(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    other = (await program.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})).json()
    program.cookies.clear()
    renewed = (await program.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})).json()
    program.cookies.clear()
    shop.clock.advance(REFRESH_RACE_S + 1)
    assert (await program.get("/things", headers=bearer(renewed["access_token"]))).status_code == 200

    reused = await program.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})

    assert problem_of(reused) == (401, "unauthenticated")
    successor = await program.post("/api/v1/auth/refresh", json={"refresh_token": renewed["refresh_token"]})
    assert problem_of(successor) == (401, "unauthenticated")
    access = await program.get("/things", headers=bearer(renewed["access_token"]))
    assert problem_of(access) == (401, "unauthenticated")
    untouched = await program.post("/api/v1/auth/refresh", json={"refresh_token": other["refresh_token"]})
    assert untouched.status_code == 200


async def test_two_tabs_that_refresh_at_once_stay_signed_in(shop: Stage) -> None:
    body = await shop.signed_up()
    old = {"refresh_token": body["refresh_token"]}
    async with shop.client() as client:
        answers = await asyncio.gather(*(client.post("/api/v1/auth/refresh", json=old) for _ in range(4)))
        won = [answer for answer in answers if answer.status_code == 200]
        lost = [answer for answer in answers if answer.status_code != 200]

        assert len(won) == 1
        assert {problem_of(answer) for answer in lost} == {(409, "wrong_state")}
        assert not any("token" in answer.text for answer in lost)  # the loser leaves with nothing
        assert (await client.get("/things", headers=bearer(won[0].json()["access_token"]))).status_code == 200
        client.cookies.clear()
        following = {"refresh_token": won[0].json()["refresh_token"]}
        assert (await client.post("/api/v1/auth/refresh", json=following)).status_code == 200


async def test_a_thief_who_was_first_is_found_out(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    stolen = {"refresh_token": body["refresh_token"]}
    thief = (await program.post("/api/v1/auth/refresh", json=stolen)).json()
    program.cookies.clear()
    owner = await program.post("/api/v1/auth/refresh", json=stolen)
    assert problem_of(owner) == (409, "wrong_state")
    shop.clock.advance(REFRESH_RACE_S + 1)
    assert problem_of(await program.post("/api/v1/auth/refresh", json=stolen)) == (401, "unauthenticated")

    left = await program.post("/api/v1/auth/refresh", json={"refresh_token": thief["refresh_token"]})
    assert problem_of(left) == (401, "unauthenticated")


async def test_an_idle_session_ends(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    shop.clock.advance(SESSION_IDLE_S)

    answer = await program.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})

    assert problem_of(answer) == (401, "unauthenticated")


async def test_even_a_busy_session_ends(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = (await shop.signed_up())["refresh_token"]
    days = 0
    while True:
        shop.clock.advance(20 * 86_400)
        days += 20
        answer = await program.post("/api/v1/auth/refresh", json={"refresh_token": token})
        program.cookies.clear()
        if answer.status_code != 200:
            break
        token = answer.json()["refresh_token"]

    assert days * 86_400 == SESSION_MAX_S


@pytest.mark.parametrize("token", ["", "rt_unknown", "\u00e9", "x" * 1024])
async def test_an_unknown_refresh_token_is_refused(program: httpx2.AsyncClient, token: str) -> None:
    answer = await program.post("/api/v1/auth/refresh", json={"refresh_token": token})

    assert problem_of(answer) == (401, "unauthenticated")


async def test_logout_ends_the_session_at_once(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    assert (await program.get("/things", headers=bearer(body["access_token"]))).status_code == 200

    answer = await program.post("/api/v1/auth/logout", headers=bearer(body["access_token"]))

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await program.get("/things", headers=bearer(body["access_token"]))).status_code == 401
    refreshed = await program.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})
    assert problem_of(refreshed) == (401, "unauthenticated")
    again = await program.post("/api/v1/auth/logout", headers=bearer(body["access_token"]))
    assert again.status_code == 204


async def test_logout_by_refresh_token_and_with_an_expired_access_token(
    shop: Stage, program: httpx2.AsyncClient
) -> None:
    one, two = await shop.signed_up(), await shop.signed_up("bob@example.org")
    shop.clock.advance(901)

    await program.post("/api/v1/auth/logout", json={"refresh_token": one["refresh_token"]})
    await program.post("/api/v1/auth/logout", headers=bearer(two["access_token"]))

    for body in (one, two):
        answer = await program.post("/api/v1/auth/refresh", json={"refresh_token": body["refresh_token"]})
        assert problem_of(answer) == (401, "unauthenticated")


async def test_logout_ends_only_its_own_session(shop: Stage, program: httpx2.AsyncClient) -> None:
    phone = await shop.signed_up()
    desk = (await program.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})).json()
    program.cookies.clear()

    await program.post("/api/v1/auth/logout", headers=bearer(phone["access_token"]))

    assert (await program.get("/things", headers=bearer(desk["access_token"]))).status_code == 200


async def test_no_secret_is_stored_in_clear(shop: Stage, tmp_path: Path) -> None:
    body = await shop.signed_up()
    async with shop.client() as client:
        key = (
            await client.post(
                "/api/v1/me/keys", json={"name": "x", "scopes": ["read"]}, headers=bearer(body["access_token"])
            )
        ).json()["key"]
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("penstock.db*"))

    assert EMAIL.encode() in stored
    for secret in (PASSWORD, body["refresh_token"], body["access_token"], key):
        assert secret.encode() not in stored


async def test_expired_refresh_tokens_are_swept(tmp_path: Path) -> None:
    async with stage(tmp_path) as shop:
        await shop.signed_up()
        shop.clock.advance(SESSION_IDLE_S - 1)
        assert await shop.accounts.sweep() == 0
        shop.clock.advance(1)
        assert await shop.accounts.sweep() == 1
        assert SWEEP_ROWS > 1


async def test_a_session_remembers_what_opened_it(shop: Stage, program: httpx2.AsyncClient) -> None:
    await program.post(
        "/api/v1/auth/register",
        json={"email": EMAIL, "password": PASSWORD},
        headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"},
    )

    assert await shop.value("SELECT agent FROM sessions") == "Firefox on Linux"


async def test_token_answers_are_not_cached(program: httpx2.AsyncClient) -> None:
    answer = await program.post("/api/v1/auth/register", json={"email": EMAIL, "password": PASSWORD})

    assert answer.headers["cache-control"] == "no-store"
