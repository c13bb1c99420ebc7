"""API keys: made, shown once, limited, revoked."""

import re
from typing import Any

import httpx2
import pytest
from tests.unit.accounts.stage import Stage, bearer, problem_of

from penstock.accounts.api_keys import LAST_USED_EVERY_S, MAX_KEYS
from penstock.accounts.key_format import new_key, well_formed
from penstock.kit.database import DatabaseUnavailableError


async def made(shop: Stage, token: str, *scopes: str, name: str = "batch") -> dict[str, Any]:
    async with shop.client() as client:
        answer = await client.post(
            "/api/v1/me/keys", json={"name": name, "scopes": list(scopes)}, headers=bearer(token)
        )
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_a_key_is_shown_once_and_works(shop: Stage, program: httpx2.AsyncClient) -> None:
    body = await shop.signed_up()
    key = await made(shop, body["access_token"], "write", "read", "read", name=" Nightly ")

    assert key["id"].startswith("key_")
    assert re.fullmatch(r"pk_[0-9A-Za-z]{38}", key["key"])
    assert key["key"].startswith(key["prefix"])
    assert key["key"].endswith(key["last4"])
    assert key["scopes"] == ["read", "write"]
    assert key["name"] == "Nightly"
    listed = (await program.get("/api/v1/me/keys", headers=bearer(body["access_token"]))).json()["items"]
    assert listed == [{name: value for name, value in key.items() if name != "key"}]
    used = (await program.post("/things", headers=bearer(key["key"]))).json()
    assert used["account_id"] == body["account"]["id"]
    assert used["credential"] == "api_key"


async def test_scopes_limit_methods(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = (await shop.signed_up())["access_token"]
    read = bearer((await made(shop, token, "read"))["key"])
    write = bearer((await made(shop, token, "write"))["key"])

    assert (await program.get("/things", headers=read)).status_code == 200
    assert problem_of(await program.post("/things", headers=read)) == (403, "forbidden")
    assert problem_of(await program.patch("/api/v1/me", json={"preferences": {}}, headers=read)) == (403, "forbidden")
    assert (await program.post("/things", headers=write)).status_code == 200
    assert problem_of(await program.get("/things", headers=write)) == (403, "forbidden")


async def test_a_revoked_key_stops_at_once(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = (await shop.signed_up())["access_token"]
    key = await made(shop, token, "read")
    assert (await program.get("/things", headers=bearer(key["key"]))).status_code == 200

    gone = await program.delete(f"/api/v1/me/keys/{key['id']}", headers=bearer(token))

    assert gone.status_code == 204
    assert problem_of(await program.get("/things", headers=bearer(key["key"]))) == (401, "unauthenticated")
    assert (await program.get("/api/v1/me/keys", headers=bearer(token))).json() == {"items": []}
    again = await program.delete(f"/api/v1/me/keys/{key['id']}", headers=bearer(token))
    assert problem_of(again) == (404, "not_found")


async def test_somebody_elses_key_is_not_found(shop: Stage, program: httpx2.AsyncClient) -> None:
    ann, bob = await shop.signed_up(), await shop.signed_up("bob@example.org")
    key = await made(shop, ann["access_token"], "read")

    answer = await program.delete(f"/api/v1/me/keys/{key['id']}", headers=bearer(bob["access_token"]))

    assert problem_of(answer) == (404, "not_found")
    assert (await program.get("/things", headers=bearer(key["key"]))).status_code == 200
    assert (await program.get("/api/v1/me/keys", headers=bearer(bob["access_token"]))).json() == {"items": []}


async def test_a_key_makes_and_deletes_no_keys(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = (await shop.signed_up())["access_token"]
    key = await made(shop, token, "read", "write")
    headers = bearer(key["key"])

    more = await program.post("/api/v1/me/keys", json={"name": "x", "scopes": ["read"]}, headers=headers)
    assert problem_of(more) == (403, "forbidden")
    assert problem_of(await program.get("/api/v1/me/keys", headers=headers)) == (403, "forbidden")
    assert problem_of(await program.delete(f"/api/v1/me/keys/{key['id']}", headers=headers)) == (403, "forbidden")
    assert problem_of(await program.post("/api/v1/auth/logout", headers=headers)) == (403, "forbidden")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": "  ", "scopes": ["read"]}, "name"),
        ({"name": "x" * 81, "scopes": ["read"]}, "name"),
        ({"name": "a\nb", "scopes": ["read"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["read", "admin"]}, "scopes"),
    ],
)
async def test_a_bad_request_for_a_key_is_explained(
    shop: Stage, program: httpx2.AsyncClient, body: dict[str, Any], field: str
) -> None:
    token = (await shop.signed_up())["access_token"]

    answer = await program.post("/api/v1/me/keys", json=body, headers=bearer(token))

    assert problem_of(answer) == (422, "invalid_input")
    assert answer.json()["errors"][0]["field"] == field


async def test_the_number_of_keys_is_limited(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = (await shop.signed_up())["access_token"]
    keys = [await made(shop, token, "read") for _ in range(MAX_KEYS)]

    one_more = {"name": "x", "scopes": ["read"]}
    answer = await program.post("/api/v1/me/keys", json=one_more, headers=bearer(token))
    assert problem_of(answer) == (409, "wrong_state")

    await program.delete(f"/api/v1/me/keys/{keys[0]['id']}", headers=bearer(token))
    assert (await program.post("/api/v1/me/keys", json=one_more, headers=bearer(token))).status_code == 201


async def test_the_last_use_is_noted_at_most_once_a_minute(shop: Stage, program: httpx2.AsyncClient) -> None:
    token = (await shop.signed_up())["access_token"]
    key = bearer((await made(shop, token, "read"))["key"])
    start = shop.clock.now()

    writes = shop.database.writes
    for _ in range(7):
        await program.get("/things", headers=key)
        shop.clock.advance(10)
    assert shop.database.writes - writes == 2
    assert await shop.value("SELECT last_used_at FROM api_keys") == start + LAST_USED_EVERY_S


async def test_a_full_disk_keeps_no_program_from_reading(
    shop: Stage, program: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await shop.signed_up())["access_token"]
    key = bearer((await made(shop, token, "read"))["key"])

    async def full(*_: object, **__: object) -> None:
        raise DatabaseUnavailableError("disk full")

    monkeypatch.setattr(shop.database, "write", full)

    assert (await program.get("/things", headers=key)).status_code == 200


async def test_an_invented_key_costs_no_look_at_the_database(shop: Stage, program: httpx2.AsyncClient) -> None:
    reads = shop.database.reads
    for invented in ("pk_", "pk_" + "a" * 38, new_key()[:-1], new_key() + "x", "pk_" + "é" * 38):
        answer = await program.get("/things", headers=[(b"authorization", f"Bearer {invented}".encode())])
        assert problem_of(answer) == (401, "unauthenticated")
    assert shop.database.reads == reads

    unknown = await program.get("/things", headers=bearer(new_key()))
    assert problem_of(unknown) == (401, "unauthenticated")
    assert shop.database.reads == reads + 1


def test_every_mistyped_character_is_noticed() -> None:
    key = new_key()
    assert well_formed(key)

    for place in range(3, len(key)):
        wrong = "A" if key[place] != "A" else "B"
        assert not well_formed(key[:place] + wrong + key[place + 1 :])


def test_keys_are_all_different() -> None:
    assert len({new_key() for _ in range(200)}) == 200
