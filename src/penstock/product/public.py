"""The part of a product that anybody may read: what `GET /api/v1/product` answers.

It is written out field by field, so that a new key of the file stays private until somebody puts it here. Routes,
providers, prompts, costs and names of variables never appear.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from penstock.product.availability import availability, openid_lacks
from penstock.product.prices import least_price, table_of, varies
from penstock.product.schema import Product
from penstock.product.schema_offer import Plan
from penstock.product.schema_parts import BYTES_PER_MB
from penstock.product.schema_work import Input, Operation, Option
from penstock.product.texts import unavailable_text


def public(product: Product, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the public part as JSON values; `environment` decides what is available."""
    states = availability(product, environment).operations
    return {
        "name": product.name,
        "version": product.version,
        "brand": product.brand.model_dump(mode="json"),
        "texts": dict(product.texts),
        "operations": [
            _operation(name, operation, None if states[name].available else unavailable_text(product))
            for name, operation in product.operations.items()
        ],
        "plans": [_plan(name, plan) for name, plan in product.plans.items()],
        "topups": [
            {"id": name, "credits": topup.credits, "price_usd": topup.price_usd}
            for name, topup in product.topups.items()
        ],
        "sign_in": _sign_in(product, openid_lacks(product, environment)),
        "donations": _donations(product),
        "uploads": {"max_bytes": product.uploads.max_mb * BYTES_PER_MB, "media_types": list(media_types())},
    }


def media_types() -> tuple[str, ...]:
    """Return the kinds of picture that can be uploaded; HEIC only where its decoder (an extra) is installed."""
    always = ("image/jpeg", "image/png", "image/webp")
    return (*always, "image/heic", "image/heif") if find_spec("pillow_heif") else always


def _sign_in(product: Product, lacks: Mapping[str, str]) -> dict[str, Any]:
    ways = product.sign_in
    buttons = [{"id": name, "title": each.title} for name, each in ways.openid.items() if name not in lacks]
    elsewhere = [name for name, set_up in (("clerk", ways.clerk), ("auth0", ways.auth0)) if set_up is not None]
    return {
        "methods": [*ways.methods, *(["openid"] if buttons else []), *elsewhere],
        "anonymous": ways.anonymous,
        "anonymous_plan": ways.anonymous_plan,
        "gift_credits": ways.gift_credits,
        "openid": buttons,
    }


def _donations(product: Product) -> dict[str, Any] | None:
    return None if product.donations is None else product.donations.model_dump(mode="json")


def _operation(name: str, operation: Operation, unavailable: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "title": operation.title,
        "description": operation.description,
        "available": unavailable is None,
        "unavailable_reason": unavailable,
        "inputs": [_input(key, wanted) for key, wanted in operation.inputs.items()],
        "options": [_option(key, option) for key, option in operation.options.items()],
        "price": _price(operation),
        "output": {"kind": operation.output},
        "limitations": operation.limitations,
    }


def _price(operation: Operation) -> dict[str, Any]:
    """Show the lowest price, and what it depends on."""
    table = table_of(operation)
    shown = None if table is None else table.model_dump(mode="json")
    return {"credits": least_price(operation), "varies": varies(operation), "table": shown}


def _input(name: str, wanted: Input) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": name, "kind": wanted.kind, "title": wanted.title, "required": wanted.required}
    if wanted.kind == "text":
        shown["max_characters"] = wanted.max_characters
        shown["templates"] = [each.model_dump(mode="json") for each in wanted.templates]
    return shown


def _option(name: str, option: Option) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": name, "title": option.title, "kind": option.kind, "default": option.start}
    if option.description is not None:
        shown["description"] = option.description
    if option.kind == "choice":
        shown["choices"] = [{"value": choice.value, "title": choice.title} for choice in option.choices]
    if option.kind == "range":
        shown |= {"min": option.min, "max": option.max}
        if option.step is not None:
            shown["step"] = option.step
    return shown


def _plan(name: str, plan: Plan) -> dict[str, Any]:
    return {
        "id": name,
        "title": plan.title,
        "description": plan.description,
        "price_usd_month": plan.price_usd_month,
        "price_usd_year": plan.price_usd_year,
        "credits_month": plan.credits_month,
        "features": list(plan.features),
        "limits": plan.limits.model_dump(mode="json"),
        "resolution": plan.resolution,
        "watermark": plan.watermark,
        "keep_days": plan.keep_days,
    }
