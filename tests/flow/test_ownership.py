"""Everybody sees only their own things, at every address of the interface.

The matrix is made from the OpenAPI document, so that an endpoint that is added is tested with the others; one that the
matrix can't call makes it fail.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio

from penstock.app.application import bare_app
from penstock.app.openapi import operations
from penstock.billing.test_checkout import TestPayments
from penstock.kit.clock import SystemClock
from penstock.kit.database import Transaction
from penstock.media import queries as media
from penstock.media.queries import NewFile, Variant
from tests.support.servers import BASE, Customer, Running, running
from tests.support.shop import selling

DOCUMENT = bare_app().openapi()
BODIES = {
    "change_account": {"limits": {}},
    "change_profile": {"preferences": {}},
    "grant_credits": {"credits": 1, "reason": "a present"},
    "add_key": {"name": "mine", "scopes": ["read"]},
    "presign": {"bytes": 1, "media_type": "image/jpeg"},
    "submit_job": {"operation": "echo"},
    "quote_job": {"operation": "echo"},
}
KINDS = ("checkout_id", "job_id", "key_id", "result_id", "upload_id")
STAFF_KINDS = ("account_id",)  # named under /admin only
LISTS = ("list_jobs", "list_credit_entries", "list_keys", "show_usage", "show_credits", "show_me")


def every_operation() -> list[tuple[str, str, dict[str, Any]]]:
    """Return (method, path, operation) for each operation of the interface."""
    return [(method, path, each) for path, methods in DOCUMENT["paths"].items() for method, each in methods.items()]


def id_of(operation: dict[str, Any]) -> list[str]:
    return [parameter["name"] for parameter in operation.get("parameters", []) if parameter["in"] == "path"]


# What stands under /admin is refused to everybody but staff, whatever it is about: see test_job_operators.py.
OWNED = [
    (method, path, each)
    for method, path, each in every_operation()
    if id_of(each) and each.get("security") and "admin" not in each["tags"]
]
GUARDED = [(method, path, each) for method, path, each in every_operation() if each.get("security")]


@pytest_asyncio.fixture
async def run(tmp_path: Path) -> AsyncIterator[Running]:
    product = selling()
    payments = TestPayments(SystemClock(), lambda: product)
    async with running(tmp_path, product=product, works=False, payments=payments) as run:
        run.services.streams.closing.set()  # streams end at once
        yield run


async def things_of(run: Running, customer: Customer) -> dict[str, str]:
    """Make one thing of each kind for a customer; returns ids by the name of the path parameter."""
    job = await customer.submit()
    failed = await customer.submit("daring")
    await customer.post(f"/jobs/{failed['id']}/cancel")
    key = (await customer.post("/me/keys", {"name": "mine", "scopes": ["read"]})).json()
    page = (await customer.post("/billing/checkout", {"topup": "ten"})).json()["url"]
    ids = {"job_id": job["id"], "key_id": key["id"], "checkout_id": page.rpartition("/")[2], "account_id": customer.id}
    ids |= {"result_id": "res_hers", "upload_id": "upl_hers"}
    await run.services.database.write(_files, customer.id, job["id"])
    return ids


def _files(tx: Transaction, account_id: str, job_id: str) -> None:
    """Write the rows of an upload and a result, as if their files were there."""
    media.remember_pending(tx, account_id, [NewFile("uploads/aa/hers.jpg", "image/jpeg", 1)])
    media.remember_pending(tx, account_id, [NewFile("results/aa/hers.jpg", "image/jpeg", 1)])
    media.insert_upload(
        tx,
        media.Upload(
            id="upl_hers",
            account_id=account_id,
            key="uploads/aa/hers.jpg",
            media_type="image/jpeg",
            bytes=1,
            width=1,
            height=1,
            sha256="0",
            corners=None,
            created_at=tx.now,
            expires_at=tx.now + 1_000,
        ),
    )
    variant = Variant("full", "results/aa/hers.jpg", "image/jpeg", 1, 1, 1)
    media.insert_result(
        tx,
        result_id="res_hers",
        job_id=job_id,
        account_id=account_id,
        operation="echo",
        variants=[variant],
        expires_at=None,
    )


async def call(
    run: Running, method: str, path: str, operation: dict[str, Any], ids: dict[str, str], **headers: str
) -> httpx2.Response:
    for name in id_of(operation):
        path = path.replace("{" + name + "}", ids[name])
    return await run.client.request(method, BASE + path, json=BODIES.get(operation["operationId"]), headers=headers)


@pytest.mark.parametrize(("method", "path", "operation"), OWNED, ids=[each["operationId"] for _, _, each in OWNED])
async def test_somebody_elses_things_are_not_found(
    run: Running, method: str, path: str, operation: dict[str, Any]
) -> None:
    ann, bob = await run.customer(gift=10), await run.customer(gift=10)
    ids = await things_of(run, ann)
    stolen = await call(run, method, path, operation, ids, **bob.headers)
    missing = await call(run, method, path, operation, dict.fromkeys(ids, "nothing_like_it"), **bob.headers)
    own = await call(run, method, path, operation, ids, **ann.headers)

    assert (stolen.status_code, stolen.json()["code"]) == (404, "not_found")
    assert stolen.json() == missing.json(), "the answer must not tell whether it exists"
    assert own.status_code != 404 or operation["operationId"] in {"upload_file", "result_file"}  # no bytes here
    assert (await bob.credits()) == (13, 0)


@pytest.mark.parametrize(("method", "path", "operation"), GUARDED, ids=[each["operationId"] for _, _, each in GUARDED])
async def test_nobody_gets_nothing(run: Running, method: str, path: str, operation: dict[str, Any]) -> None:
    ids = dict.fromkeys((*KINDS, *STAFF_KINDS), "anything")
    nobody = await call(run, method, path, operation, ids)
    forged = await call(run, method, path, operation, ids, authorization="Bearer nonsense")

    assert (nobody.status_code, nobody.json()["code"]) == (401, "unauthenticated")
    assert (forged.status_code, forged.json()["code"]) == (401, "unauthenticated")
    assert nobody.headers["www-authenticate"].startswith("Bearer")


async def test_lists_and_figures_show_only_ones_own(run: Running) -> None:
    ann, bob = await run.customer(gift=10), await run.customer()
    ids = await things_of(run, ann)
    by_id = {each["operationId"]: path.removeprefix("/api/v1") for _, path, each in every_operation()}
    answers = {name: (await bob.get(by_id[name])).json() for name in LISTS}

    assert answers["list_jobs"]["items"] == []
    assert answers["list_keys"]["items"] == []
    assert [entry["kind"] for entry in answers["list_credit_entries"]["items"]] == ["grant"]
    assert (answers["show_usage"]["day"]["used"], answers["show_usage"]["running"]["queued"]) == (0, 0)
    assert (answers["show_credits"]["available"], answers["show_me"]["credits"]) == (3, {"available": 3, "held": 0})
    assert not any(value in str(answers) for value in (*ids.values(), ann.id, ann.email))


async def test_a_key_that_may_only_read_changes_nothing(run: Running) -> None:
    ann = await run.customer(gift=10)
    ids = await things_of(run, ann)
    key = (await ann.post("/me/keys", {"name": "reader", "scopes": ["read"]})).json()["key"]
    changing = [(method, path, each) for method, path, each in GUARDED if method not in {"get", "head"}]
    answers = [await call(run, *each, ids, authorization=f"Bearer {key}") for each in changing]
    reading = await run.client.get(f"{BASE}/api/v1/jobs", headers={"authorization": f"Bearer {key}"})

    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(403, "forbidden")}
    assert reading.status_code == 200


def test_every_operation_is_in_the_matrix_or_open_to_all() -> None:
    open_to_all = {each["operationId"] for each in operations(DOCUMENT) if not each.get("security")}

    assert open_to_all == {
        "show_product", "show_health", "register", "login", "refresh", "logout", "list_plans", "list_topups",
        "send_content", "take_stripe_webhook", "take_polar_webhook",  # what comes is signed
        "take_replicate_webhook", "take_runpod_webhook",  # and only a hint
        "begin_openid", "finish_openid",  # a browser's way to a provider and back
        "verify_address", "ask_reset", "reset_password",  # whoever has the letter may
        "list_letters",  # in development only
    }  # fmt: skip
    assert {name for _, _, each in OWNED for name in id_of(each)} == set(KINDS)
