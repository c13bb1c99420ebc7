"""Every adapter that is asked over HTTP, and a product whose work is done by one of them."""

from typing import Any

from penstock.product.adapters import TASKS
from penstock.product.schema import Product
from tests.support.flows import PRODUCT
from tests.support.vendors import anthropic, google, openai, replicate, runpod, stability
from tests.support.vendors.case import Case

CASES = (
    google.CASE,
    openai.IMAGES,
    openai.CHAT,
    anthropic.CASE,
    stability.CASE,
    stability.CREATIVE,
    runpod.CASE,
    runpod.VIDEO,
    replicate.CASE,
    replicate.VIDEO,
)


def document_of(case: Case, url: str, **operation: Any) -> dict[str, Any]:
    """Return a product file, read, with one operation `work` that the vendor at `url` does; `operation` changes it."""
    kinds = sorted(TASKS[case.task])
    work = {
        "title": "Work",
        "description": "What the vendor does",
        "task": case.task,
        "inputs": {kind: {"kind": kind, "title": kind.title()} for kind in kinds},
        "output": case.makes,
        "price": 2,
        "route": ["vendor"],
    }
    if case.makes != "text":
        work["prompt"] = case.prompt
    settings = case.settings_at(url).model_dump(mode="json", exclude_defaults=True)
    return {**PRODUCT, "operations": {"work": {**work, **operation}}, "providers": {"vendor": settings}}


def product_of(case: Case, url: str, **operation: Any) -> Product:
    """Return that product."""
    return Product.model_validate(document_of(case, url, **operation))
