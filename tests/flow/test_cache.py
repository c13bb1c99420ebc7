"""Identical requests: the stored result at its own price, told as such, to whom it may be given and no longer."""

from pathlib import Path
from typing import Any

import pytest

from penstock.jobs import cache
from penstock.product.schema import Product
from penstock.providers.seam import Finished, Output
from tests.flow.test_bucket import PHOTO, negative
from tests.support.flows import PRODUCT, FakeProvider, make_product
from tests.support.servers import Customer, running


def product(scope: str | None = "everyone", price: int = 1, **plan: Any) -> Product:
    """Return a product with an operation on words and one on pictures, both with a cache."""
    kept = {"cache": scope, "cache_price": price} if scope else {}
    echo = PRODUCT["operations"]["echo"]
    picture = {"kind": "picture", "title": "Picture"}
    operations = {
        "echo": echo | kept | {"options": {"loud": {"kind": "toggle", "title": "Loud"}}},
        "negative": echo | kept | {"title": "Negative", "inputs": {"picture": picture}},
    }
    free = PRODUCT["plans"]["free"] | {"resolution": "original"} | plan
    marked = PRODUCT["plans"]["paid"] | {"resolution": "original", "watermark": True}
    return make_product(operations=operations, plans=PRODUCT["plans"] | {"free": free, "paid": marked})


async def upload(customer: Customer, content: bytes = PHOTO) -> str:
    answer = await customer.post("/uploads", content=content, headers={"content-type": "image/jpeg"})
    assert answer.status_code == 201, answer.text
    found: str = answer.json()["id"]
    return found


async def done(customer: Customer, operation: str = "echo", **inputs: Any) -> dict[str, Any]:
    job = await customer.ended((await customer.submit(operation, **inputs))["id"])
    assert job["status"] == "succeeded", job["error"]
    return job


async def paid(customer: Customer) -> int:
    available, held = await customer.credits()
    assert held == 0
    return 103 - available


async def test_the_same_words_are_answered_from_what_is_stored(tmp_path: Path) -> None:
    async with running(tmp_path, product=product()) as run:
        ann, bob = await run.customer(gift=100), await run.customer(gift=100)
        first = await done(ann, words="hello")
        quote = (await bob.post("/jobs/quote", {"operation": "echo", "inputs": {"words": "hello"}})).json()
        again = await done(bob, words="hello")
        other = await done(bob, words="good-bye")
        spent = await paid(ann), await paid(bob)
    assert (first["cached"], first["price"]) == (False, 2)
    assert (quote["cached"], quote["price"], quote["credits_after"]) == (True, 1, 102)
    assert (again["cached"], again["price"], again["output"]) == (True, 1, first["output"])
    assert (other["cached"], other["price"]) == (False, 2)
    assert len(run.provider.sent) == 2
    assert spent == (2, 3)


async def test_what_is_stored_for_one_customer_is_not_given_to_another(tmp_path: Path) -> None:
    async with running(tmp_path, product=product("account", price=0)) as run:
        ann, bob = await run.customer(gift=100), await run.customer(gift=100)
        await done(ann, words="hello")
        assert (await done(bob, words="hello"))["cached"] is False
        assert (await done(ann, words="hello"))["cached"] is True
        assert await paid(ann) == 2


async def test_without_a_cache_nothing_is_given_twice(tmp_path: Path) -> None:
    async with running(tmp_path, product=product(None)) as run:
        ann = await run.customer(gift=100)
        jobs = [await done(ann, words="hello") for _ in range(2)]
        assert await run.services.database.read(lambda tx: tx.all("SELECT * FROM cached_results")) == []
    assert [job["cached"] for job in jobs] == [False, False]


async def test_what_work_may_cost_us_and_how_it_is_shared_changes_no_request(tmp_path: Path) -> None:
    before, main = product(), {"provider": "main", "max_cost_usd": "5"}
    document = before.model_dump(mode="json", exclude_defaults=True)
    operations, plans = document["operations"], document["plans"]
    operations["echo"] |= {"max_cost_usd": "9", "route": [main]}
    async with running(tmp_path, product=before) as run:
        await done(await run.customer(gift=100), words="hello")
    async with running(tmp_path, product=make_product(operations=operations, plans=plans)) as run:
        assert (await done(await run.customer(gift=100), words="hello"))["cached"] is True


async def test_other_options_are_another_request(tmp_path: Path) -> None:
    async with running(tmp_path, product=product()) as run:
        ann = await run.customer(gift=100)
        await done(ann, words="hello")
        asked = {"operation": "echo", "inputs": {"words": "hello"}, "options": {"loud": True}}
        assert (await ann.post("/jobs/quote", asked)).json()["cached"] is False
        asked["options"] = {"loud": False}  # where it starts anyway
        assert (await ann.post("/jobs/quote", asked)).json()["cached"] is True


async def picture_of(customer: Customer, job: dict[str, Any]) -> bytes:
    answer = await customer.get(f"/results/{job['result']['id']}/file")
    assert answer.status_code == 200
    return answer.content


async def test_a_picture_is_copied_and_lives_as_long_as_its_own_job(tmp_path: Path) -> None:
    async with running(tmp_path, FakeProvider(act=negative), product=product(), files=True) as run:
        ann, bob = await run.customer(gift=100), await run.customer(gift=100)
        first = await done(ann, "negative", picture=await upload(ann))
        made = await picture_of(ann, first)
        again = await done(bob, "negative", picture=await upload(bob))
        assert again["cached"] is True
        assert again["result"]["id"] != first["result"]["id"]
        await ann.delete(f"/results/{first['result']['id']}")
        await run.services.media.sweep()
        assert await picture_of(bob, again) == made
        third = await done(ann, "negative", picture=await upload(ann))  # of bob's copy
        assert (third["cached"], await picture_of(ann, third)) == (True, made)
    assert len(run.provider.sent) == 1


async def test_a_plan_that_dresses_results_otherwise_asks_for_something_else(tmp_path: Path) -> None:
    async with running(tmp_path, FakeProvider(act=negative), product=product(), files=True) as run:
        ann, bob = await run.customer(gift=100), await run.customer(gift=100, plan="paid")
        await done(ann, "negative", picture=await upload(ann))
        assert (await done(bob, "negative", picture=await upload(bob)))["cached"] is False


async def test_a_deleted_result_is_given_to_nobody(tmp_path: Path) -> None:
    async with running(tmp_path, FakeProvider(act=negative), product=product(), files=True) as run:
        ann, bob = await run.customer(gift=100), await run.customer(gift=100)
        first = await done(ann, "negative", picture=await upload(ann))
        await ann.delete(f"/results/{first['result']['id']}")
        again = await done(bob, "negative", picture=await upload(bob))
        assert (again["cached"], again["price"]) == (False, 2)
    assert len(run.provider.sent) == 2


async def test_a_result_that_goes_before_the_jobs_turn_is_made_anew_at_the_price_that_was_told(tmp_path: Path) -> None:
    async with running(tmp_path, FakeProvider(act=negative), product=product(), files=True) as run:
        ann, bob = await run.customer(gift=100), await run.customer(gift=100)
        first = await done(ann, "negative", picture=await upload(ann))
        taken = await upload(bob)
        await run.services.drain()
        job = await bob.submit("negative", picture=taken)
        await ann.delete(f"/results/{first['result']['id']}")
    async with running(tmp_path, FakeProvider(act=negative), product=product(), files=True) as run:
        bob.run = run
        ended = await bob.ended(job["id"])
        assert (ended["status"], ended["price"]) == ("succeeded", 1)
        assert len(run.provider.sent) == 1
        assert await picture_of(bob, ended)
        assert await paid(bob) == 1


async def test_a_full_provider_keeps_no_stored_result_waiting(tmp_path: Path) -> None:
    offer = product()
    providers = PRODUCT["providers"] | {"main": PRODUCT["providers"]["main"] | {"limits": {"requests_per_minute": 1}}}
    limited = Product.model_validate(offer.model_dump() | {"providers": providers})
    async with running(tmp_path, product=limited) as run:
        ann, bob = await run.customer(gift=100), await run.customer(gift=100)
        await done(ann, words="hello")
        waiting = await ann.submit("echo", words="good-bye")
        assert (await done(bob, words="hello"))["cached"] is True
        assert (await ann.job(waiting["id"]))["status"] in {"queued", "running"}


async def test_what_nobody_asks_for_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, product=product()) as run:
        ann = await run.customer(gift=100)
        await done(ann, words="hello")
        assert await run.services.database.write(cache.forget_unused) == 0
        monkeypatch.setattr(cache, "KEEP_S", -1.0)
        assert await run.services.database.write(cache.forget_unused) == 1
        assert (await done(ann, words="hello"))["cached"] is False


async def test_retry_pays_the_full_price_when_nothing_came_of_it(tmp_path: Path) -> None:
    """A failure leaves nothing in the cache."""
    failing = FakeProvider(act=lambda request, attempt: Finished(outputs=(Output("full", Path("gone"), "image/png"),)))
    async with running(tmp_path, failing, product=product(), files=True) as run:
        ann = await run.customer(gift=100)
        picture = await upload(ann)
        ended = await ann.ended((await ann.submit("negative", picture=picture))["id"])
        assert ended["status"] == "failed"
        asked = {"operation": "negative", "inputs": {"picture": picture}}
        assert (await ann.post("/jobs/quote", asked)).json()["price"] == 2
