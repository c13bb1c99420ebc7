"""The same request twice is one job, paid once."""

import asyncio
from pathlib import Path

from tests.support.servers import running

KEY = {"Idempotency-Key": "my-own-name"}
ECHO = {"operation": "echo", "inputs": {"words": "hello"}}


async def test_the_same_request_is_the_same_job(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        ann = await run.customer(gift=10)
        first = await ann.post("/jobs", ECHO, headers=KEY)
        await ann.ended(first.json()["id"])
        again = await ann.post("/jobs", {"inputs": {"words": "hello"}, "operation": "echo", "options": {}}, headers=KEY)
        after = await ann.credits()

    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["status"] == "succeeded"
    assert after == (11, 0)


async def test_many_at_the_same_moment_are_one_job(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer(gift=100)
        answers = await asyncio.gather(*(ann.post("/jobs", ECHO, headers=KEY) for _ in range(20)))
        after = await ann.credits()

    assert sorted(answer.status_code for answer in answers) == [200] * 19 + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert after == (101, 2)


async def test_another_request_under_the_same_key_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer(gift=10)
        await ann.post("/jobs", ECHO, headers=KEY)
        other = await ann.post("/jobs", {"operation": "echo", "inputs": {"words": "bye"}}, headers=KEY)
        after = await ann.credits()

    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert after == (11, 2)


async def test_keys_are_each_customers_own(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann, bob = await run.customer(), await run.customer()
        hers = await ann.post("/jobs", ECHO, headers=KEY)
        his = await bob.post("/jobs", {"operation": "daring"}, headers=KEY)

    assert (hers.status_code, his.status_code) == (202, 202)
    assert hers.json()["id"] != his.json()["id"]


async def test_a_refused_request_does_not_use_its_key_up(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        await ann.submit("echo")
        refused = await ann.post("/jobs", {"operation": "twofold"}, headers=KEY)
        await run.give(ann, 5)
        accepted = await ann.post("/jobs", {"operation": "twofold"}, headers=KEY)

    assert (refused.status_code, refused.json()["code"]) == (402, "insufficient_credits")
    assert accepted.status_code == 202


async def test_a_key_has_a_length(tmp_path: Path) -> None:
    async with running(tmp_path, works=False) as run:
        ann = await run.customer()
        answer = await ann.post("/jobs", ECHO, headers={"Idempotency-Key": "k" * 256})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert answer.json()["errors"] == [
        {"field": "Idempotency-Key", "message": "This must have 255 characters at most."}
    ]
