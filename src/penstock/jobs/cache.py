"""The result cache: a request that was answered before gets the stored result instead of a provider's work.

    submit: find -> the job costs the cache price and goes first -> run: copy the files -> settle
    settle of work for an operation with a cache: keep

Requests are identical when the operation, its text in the product file, the contents of the pictures, the texts, the
options and what the plan makes of a result are the same; with `cache = "account"` the customer, too. Files are copied,
so a result lives and dies with its own job. If what was found is gone when the job runs, the work is done after all, at
the price that was told.
"""

import hashlib
import json
from dataclasses import dataclass, replace

from penstock.jobs.flow import Claimed, Delivery, Flow
from penstock.jobs.order import Order
from penstock.kit.database import Row, Transaction
from penstock.product.schema import Product
from penstock.product.schema_offer import Plan

GOES_FIRST = -1.0  # the rank of a job that needs no provider: before every moment
KEEP_S = 30 * 86_400.0  # a result that nobody has asked for again for so long is found no more
FORGET_BATCH = 1_000

# What of an operation changes no result.
_UNTOLD = {"title", "description", "price", "cache_price", "timeout_s", "max_cost_usd", "route"}

FIND = "SELECT job_id FROM cached_results WHERE key = :key"

KEEP = """
INSERT INTO cached_results (key, job_id, used_at) VALUES (:key, :job_id, :now)
ON CONFLICT (key) DO UPDATE SET job_id = excluded.job_id, used_at = excluded.used_at
"""

FORGET = """
DELETE FROM cached_results WHERE key IN (
    SELECT key FROM cached_results WHERE used_at < :before ORDER BY used_at LIMIT :limit)
"""

SOURCE = "SELECT output, result_id FROM jobs WHERE id = :id AND state = 'succeeded'"


@dataclass(frozen=True)
class Known:
    """What the cache says of a request.

    Args:
        key: by which the result will be found again; None where the operation has no cache.
        source: the job that has been done for an identical request, None without one.
        price: what the request costs now, in credits.
    """

    key: str | None
    source: str | None
    price: int


def find(tx: Transaction, flow: Flow, order: Order, product: Product) -> Known:
    """Look for the result of an identical request that can still be given."""
    key = _key(tx, flow, order, product)
    if key is None:
        return Known(None, None, order.price)
    source: str | None = tx.value(FIND, key=key)
    if source is None or not _can_be_given(tx, flow, source):
        return Known(key, None, order.price)
    return Known(key, source, order.operation.cache_price)


async def copy(flow: Flow, job: Claimed) -> Delivery | None:
    """Copy what was found for a job at submit; None if it is gone meanwhile. Errors: ProviderError."""
    if job.cached_from is None:
        return None
    row = await flow.database.read(_source, job.cached_from)
    if row is None:
        return None
    output = None if row["output"] is None else json.loads(row["output"])
    if row["result_id"] is None:
        return Delivery(output=output)
    copied = await flow.studio.copy(job, job.cached_from)
    return None if copied is None else replace(copied, output=output)


def keep(tx: Transaction, job: Claimed) -> None:
    """Let identical requests find a job that succeeds in this transaction."""
    if job.cache_key is not None:
        tx.run(KEEP, key=job.cache_key, job_id=job.id, now=tx.now)


def forget_unused(tx: Transaction) -> int:
    """Forget results that nobody has asked for again; returns how many."""
    return tx.run(FORGET, before=tx.now - KEEP_S, limit=FORGET_BATCH)


def _source(tx: Transaction, job_id: str) -> Row | None:
    return tx.one(SOURCE, id=job_id)


def _can_be_given(tx: Transaction, flow: Flow, source: str) -> bool:
    row = _source(tx, source)
    return row is not None and (row["result_id"] is None or flow.studio.can_copy(tx, source))


def _key(tx: Transaction, flow: Flow, order: Order, product: Product) -> str | None:
    """Return a SHA-256 of all that a result depends on; None without a cache, or where a picture is gone."""
    operation = order.operation
    contents = flow.studio.contents(tx, order.account_id, operation, order.inputs) if operation.cache else None
    if contents is None:
        return None
    asked = [
        order.account_id if operation.cache == "account" else None,
        order.operation_id,
        {**operation.model_dump(mode="json", exclude=_UNTOLD), "route": operation.providers},
        {name: product.providers[name].model_dump(mode="json") for name in operation.providers},
        {**order.inputs, **contents},
        dict(order.options),
        _dress(product.plans[order.plan], product),
    ]
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _dress(plan: Plan, product: Product) -> list[str | None]:
    return [plan.resolution, product.brand.title if plan.watermark else None]
