"""What can't be right gets an answer that says what to do; nothing is charged, and the server goes on."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from penstock.app.problems import MAX_BODY_BYTES
from penstock.product.schema import Product
from tests.support.flows import FakeProvider, make_product
from tests.support.servers import API, Customer, Running, running
from tests.unit.media.pictures import astronaut, encoded, png_bomb

# What is wrong with a request is found before any database is asked.
pytestmark = pytest.mark.embedded

PLAN_CREDITS = 3


def picture_product() -> Product:
    """Return a product whose one operation takes a picture."""
    restore = {
        "title": "Restore",
        "description": "Makes it new",
        "task": "restore",
        "inputs": {"picture": {"kind": "picture", "title": "Your photograph"}},
        "options": {
            "corners": {"kind": "corners", "title": "Corners"},
            "tone": {"kind": "range", "title": "Tone", "min": 0.0, "max": 1.0},
        },
        "price": 2,
        "route": ["main"],
    }
    return make_product(operations={"restore": restore}, uploads={"max_mb": 50})


async def upload(customer: Customer, content: bytes, name: str = "photo.jpg") -> Any:
    return await customer.client.post(
        f"{API}/uploads", files={"file": (name, content, "image/jpeg")}, headers=customer.headers
    )


async def unharmed(run: Running, customer: Customer) -> None:
    """Check that nothing was charged and that the server goes on."""
    assert await customer.credits() == (PLAN_CREDITS, 0)
    assert (await run.client.get(f"{API}/health")).status_code == 200
    assert (await customer.get("/jobs")).json()["items"] == []


FILES = {
    "empty": (b"", 422, "invalid_input"),
    "a text called .jpg": (b"Dear diary, " * 100, 415, "unsupported_media"),
    "a truncated JPEG": (encoded(astronaut())[:20_000], 422, "invalid_input"),
    "a PNG bomb": (png_bomb(40_000, 40_000), 413, "too_large"),
    "51 MB": (encoded(astronaut()) + b"\0" * 51_000_000, 413, "too_large"),
}


@pytest.mark.parametrize("what", FILES)
async def test_files_that_are_no_pictures(tmp_path: Path, what: str) -> None:
    content, status, code = FILES[what]
    async with running(tmp_path, product=picture_product(), works=False) as run:
        ann = await run.customer()
        answer = await upload(ann, content)
        left = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
        left += list((tmp_path / "scratch").iterdir())
        await unharmed(run, ann)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["detail"]
    assert left == []


async def test_somebody_elses_upload(tmp_path: Path) -> None:
    async with running(tmp_path, product=picture_product(), works=False, files=True) as run:
        ann, bob = await run.customer(), await run.customer()
        hers = (await upload(ann, encoded(astronaut()))).json()
        stolen = await bob.post("/jobs", {"operation": "restore", "inputs": {"picture": hers["id"]}})
        invented = await bob.post("/jobs", {"operation": "restore", "inputs": {"picture": "upl_nothing"}})
        seen = await bob.get(f"/uploads/{hers['id']}")
        own = await ann.post("/jobs", {"operation": "restore", "inputs": {"picture": hers["id"]}})
        await unharmed(run, bob)

    assert (stolen.status_code, stolen.json()["code"]) == (404, "not_found")
    assert stolen.json()["errors"][0]["field"] == "inputs.picture"
    assert (invented.status_code, seen.status_code) == (404, 404)
    assert invented.json() == stolen.json()
    assert own.status_code == 202


async def test_too_few_credits(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        await ann.submit()
        answer = await ann.post("/jobs", {"operation": "twofold"})
        after = await ann.credits()

    body = answer.json()
    assert (answer.status_code, body["code"]) == (402, "insufficient_credits")
    assert "3 credits" in body["detail"]
    assert {action["kind"] for action in body["actions"]} == {"top_up", "upgrade"}
    assert after == (PLAN_CREDITS - 2, 2)


ORDERS: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown operation": ({"operation": "polish"}, "operation"),
    "no operation": ({}, "operation"),
    "an input that is missing": ({"operation": "restore"}, "inputs.picture"),
    "an input that is null": ({"operation": "restore", "inputs": {"picture": None}}, "inputs.picture"),
    "an input that is no text": ({"operation": "restore", "inputs": {"picture": 7}}, "inputs.picture"),
    "an unknown input": ({"operation": "restore", "inputs": {"picture": "upl_1", "sound": "upl_2"}}, "inputs.sound"),
    "inputs that are a list": ({"operation": "restore", "inputs": []}, "inputs"),
    "an unknown option": (
        {"operation": "restore", "inputs": {"picture": "upl_1"}, "options": {"magic": True}},
        "options.magic",
    ),
    "an option out of range": (
        {"operation": "restore", "inputs": {"picture": "upl_1"}, "options": {"tone": 7}},
        "options.tone",
    ),
    "corners the wrong way round": (
        {
            "operation": "restore",
            "inputs": {"picture": "upl_1"},
            "options": {"corners": [[0, 0], [0, 1], [1, 1], [1, 0]]},
        },
        "options.corners",
    ),
    "an operation of 101 characters": ({"operation": "x" * 101}, "operation"),
}


@pytest.mark.parametrize("what", ORDERS)
@pytest.mark.parametrize("path", ["/jobs", "/jobs/quote"])
async def test_orders_that_make_no_sense(tmp_path: Path, what: str, path: str) -> None:
    body, field = ORDERS[what]
    async with running(tmp_path, product=picture_product(), works=False) as run:
        ann = await run.customer()
        answer = await ann.post(path, body)
        await unharmed(run, ann)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert answer.headers["content-type"] == "application/problem+json"


BODIES: dict[str, tuple[bytes, int, str]] = {
    "no JSON": (b"operation=echo", 422, "invalid_input"),
    "half of a JSON text": (b'{"operation": "ec', 422, "invalid_input"),
    "nothing": (b"", 422, "invalid_input"),
    "a list": (b"[]", 422, "invalid_input"),
    "not UTF-8": (b'{"operation": "\xff\xfe"}', 422, "invalid_input"),
    "half a character in a name": (b'{"operation": "\\ud800"}', 422, "invalid_input"),
    "half a character in an input": (b'{"operation": "echo", "inputs": {"words": "\\ud800"}}', 422, "invalid_input"),
    "half a character in an option": (b'{"operation": "echo", "options": {"a": "\\ud800"}}', 422, "invalid_input"),
    "half a character in a key": (b'{"operation": "echo", "options": {"\\ud800": 1}}', 422, "invalid_input"),
    "not a number": (b'{"operation": "echo", "options": {"a": NaN}}', 422, "invalid_input"),
    "an endless number": (b'{"operation": "echo", "options": {"a": 1e999}}', 422, "invalid_input"),
    "nesting without end": (b'{"operation": "echo", "options": {"a": ' + b"[" * 50_000, 422, "invalid_input"),
    "a valid nesting too deep": (
        b'{"operation": "echo", "options": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}", 422, "invalid_input",
    ),
    "more than a megabyte": (json.dumps({"operation": "x" * MAX_BODY_BYTES}).encode(), 413, "too_large"),
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
async def test_bodies_that_cannot_be_read(tmp_path: Path, what: str) -> None:
    content, status, code = BODIES[what]
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        headers = ann.headers | {"content-type": "application/json"}
        answer = await run.client.post(f"{API}/jobs", content=content, headers=headers)
        await unharmed(run, ann)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "pydantic" not in answer.text


async def test_a_long_body_of_undeclared_length(tmp_path: Path) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * (MAX_BODY_BYTES // 10)

    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        headers = ann.headers | {"content-type": "application/json"}
        answer = await run.client.post(f"{API}/jobs", content=pieces(), headers=headers)
        await unharmed(run, ann)

    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/jobs?limit=0", "limit"),
        ("/jobs?limit=101", "limit"),
        ("/jobs?limit=many", "limit"),
        ("/jobs?status=asleep", "status"),
        ("/jobs?cursor=nonsense", "cursor"),
        ("/jobs?cursor=" + "x" * 201, "cursor"),
        ("/jobs?cursor=WyJcdWQ4MDAiLDFd", "cursor"),
        ("/credits/entries?cursor=WzFlMzAwXQ", "cursor"),
        ("/credits/entries?cursor=" + "W" * 60, "cursor"),
        ("/credits/entries?limit=-1", "limit"),
    ],
)
async def test_queries_that_make_no_sense(tmp_path: Path, path: str, field: str) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        answer = await ann.get(path)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_an_operation_whose_provider_is_off(tmp_path: Path) -> None:
    product = make_product(
        providers={"main": {"adapter": "gemini", "key_env": "NO_SUCH_KEY"}, "spare": {"adapter": "local"}}
    )
    async with running(tmp_path, FakeProvider("spare"), product=product, works=False) as run:
        ann = await run.customer(gift=10)
        off = await ann.post("/jobs", {"operation": "echo"})
        on = await ann.post("/jobs", {"operation": "twofold"})
        shown = {each["id"]: each for each in (await ann.get("/product")).json()["operations"]}

    assert (off.status_code, off.json()["code"]) == (503, "unavailable")
    assert on.status_code == 202
    assert (shown["echo"]["available"], shown["twofold"]["available"]) == (False, True)
