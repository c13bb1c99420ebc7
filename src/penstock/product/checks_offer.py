"""What the shape of a file cannot say: that plans, prices and wording make sense; and what is likely not meant.

`offer_complaints` reads the document as written, as the checks of the work do. `warnings` reads the finished
product: nothing it finds stops a file from being used.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from penstock.product.adapters import ADAPTERS
from penstock.product.checks_work import number, tables, texts_of
from penstock.product.colour import DARK_PAGE, LIGHT_PAGE, MIN_CONTRAST, contrast, readable
from penstock.product.mistakes import Complaint, did_you_mean, listed
from penstock.product.positions import KeyPath
from penstock.product.prices import most_price, varies
from penstock.product.schema import Product
from penstock.product.schema_offer import whole_credits_cents
from penstock.product.schema_parts import DOLLARS_PATTERN
from penstock.product.structure import Document
from penstock.product.texts import PAGE_KEYS, PLACEHOLDER, PLACEHOLDERS, known_keys

_FREE = ("0", "0.00")


def offer_complaints(document: Document) -> Iterator[Complaint]:
    """Yield what does not fit in plans, top-ups and texts."""
    plans = document.get("plans")
    first = next(iter(plans), None) if isinstance(plans, dict) else None
    for name, plan in tables(plans).items():
        yield from _plan(("plans", name), plan, first=name == first)
    for name, topup in tables(document.get("topups")).items():
        if topup.get("price_usd") in _FREE:
            yield Complaint(
                ("topups", name, "price_usd"), "a top-up must cost something", "Give credits with a plan instead."
            )
    yield from _payments(document.get("payments"))
    yield from _tiers(document, tables(plans))
    texts = document.get("texts")
    for key, text in texts.items() if isinstance(texts, dict) else ():
        yield from _text(key, text)


def warnings(product: Product) -> Iterator[Complaint]:
    """Yield what can be used as it is and is likely not meant."""
    yield from _colours(product)
    yield from _prices(product)
    yield from _plans(product)
    yield from _unused(product)
    yield from _ceilings(product)


def _plan(path: KeyPath, plan: dict[str, Any], *, first: bool) -> Iterator[Complaint]:
    price = plan.get("price_usd_month")
    if price in _FREE:
        yield Complaint((*path, "price_usd_month"), "a free plan has no price", "Leave it out.")
    elif first and price is not None:
        reason = "the first plan is what new customers get, so it must be free"
        yield Complaint((*path, "price_usd_month"), reason, "Put a plan without price_usd_month before it.")
    year = plan.get("price_usd_year")
    if year in _FREE:
        yield Complaint((*path, "price_usd_year"), "a year must cost something", "Leave it out to sell months only.")
    elif year is not None and price is None:
        reason = "is the price of a year, and the month has none"
        yield Complaint((*path, "price_usd_year"), reason, "Write price_usd_month, too, or leave it out.")
    limits = plan.get("limits")
    if isinstance(limits, dict):
        yield from _limits((*path, "limits"), limits)


def _payments(payments: object) -> Iterator[Complaint]:
    if not isinstance(payments, dict):
        return
    for key in ("key_env", "webhook_secret_env"):
        if payments.get("provider") is not None and payments.get(key) is None:
            reason = f"has a provider but no {key}, and secrets never stand in this file"
            yield Complaint(("payments",), reason, f'Write {key} = "NAME_OF_THE_VARIABLE".')
    if isinstance(amount := payments.get("amount"), dict):
        yield from _free_amount(amount)


def _free_amount(amount: Mapping[str, Any]) -> Iterator[Complaint]:
    path: KeyPath = ("payments", "amount")
    low, high = (_dollars(amount.get(key)) for key in ("min_usd", "max_usd"))
    sold = amount.get("credits_per_usd")
    rate = sold if isinstance(sold, int) and sold > 0 else None
    if low is not None and high is not None and low > high:
        yield Complaint((*path, "min_usd"), "is more than max_usd", "Change one of them.")
    elif low is not None and high is not None and rate:
        step = whole_credits_cents(rate)
        if int(high * 100) // step * step < low * 100:
            reason = f"lets nobody choose an amount that brings whole credits: they go by steps of ${step / 100:.2f}"
            yield Complaint(path, reason, "Widen min_usd and max_usd, or change credits_per_usd.")
    if rate and amount.get("show_usd") is True and 100 % rate:
        reason = "a credit must be whole cents where customers read dollars"
        yield Complaint((*path, "credits_per_usd"), reason, "100 makes it a cent.")


def _tiers(document: Document, plans: Mapping[str, dict[str, Any]]) -> Iterator[Complaint]:
    """Yield what does not fit in the plans of visitors and of donors."""
    sign_in, donations = document.get("sign_in"), document.get("donations")
    first = next(iter(plans), None)
    if isinstance(sign_in, dict) and (name := sign_in.get("anonymous_plan")) is not None:
        yield from _free_plan(("sign_in", "anonymous_plan"), name, plans)
        if sign_in.get("anonymous") is not True:
            advice = "Write anonymous = true, or leave it out."
            yield Complaint(("sign_in", "anonymous_plan"), "is for visitors, and the product takes none", advice)
    if not isinstance(donations, dict):
        return
    yield from _free_plan(("donations", "plan"), donations.get("plan"), plans)
    if donations.get("plan") in {first, isinstance(sign_in, dict) and sign_in.get("anonymous_plan")}:
        yield Complaint(("donations", "plan"), "is a plan that others have, too", "Make a plan of its own for donors.")
    if first is not None and plans[first].get("credits_month"):
        advice = "Give credits once, with sign_in.gift_credits, or leave donations out."
        yield Complaint(("donations", "plan"), f'donors would lose what the plan "{first}" brings each month', advice)
    low, high = (_dollars(donations.get(key)) for key in ("min_usd", "max_usd"))
    if low is None or high is None:
        return
    if low > high or high == 0:
        yield Complaint(("donations", "min_usd"), "is more than max_usd, or nothing", "Change one of them.")
    for at, written in texts_of(donations.get("suggested_usd")):
        amount = _dollars(written)
        if amount is not None and not low <= amount <= high:
            yield Complaint(("donations", "suggested_usd", at), f"is not from {low} to {high}", "Choose another one.")


def _free_plan(path: KeyPath, name: object, plans: Mapping[str, dict[str, Any]]) -> Iterator[Complaint]:
    if not isinstance(name, str) or not plans:
        return
    if name not in plans:
        known = f"There are {listed(plans)}."
        yield Complaint(path, f'there is no plan "{name}"', did_you_mean(name, plans, otherwise=known))
    elif plans[name].get("price_usd_month") is not None or plans[name].get("credits_month"):
        yield Complaint(path, f'the plan "{name}" has a price or credits, and is neither sold nor renewed')


def _dollars(written: object) -> Decimal | None:
    return Decimal(written) if isinstance(written, str) and re.fullmatch(DOLLARS_PATTERN, written) else None


def _limits(path: KeyPath, limits: dict[str, Any]) -> Iterator[Complaint]:
    hour, day, running = (number(limits.get(key)) for key in ("jobs_per_hour", "jobs_per_day", "running"))
    if hour is not None and day is not None and hour > day:
        reason = f"is more than jobs_per_day, which is {day:g}, and can never be reached"
        yield Complaint((*path, "jobs_per_hour"), reason, "Lower it, or leave it out.")
    most = min((limit for limit in (hour, day) if limit is not None), default=None)
    if running is not None and most is not None and running > most:
        yield Complaint(
            (*path, "running"), f"is more than the {most:g} jobs that may start", f"Write {most:g} at most."
        )


def _text(key: str, text: object) -> Iterator[Complaint]:
    path: KeyPath = ("texts", key)
    if isinstance(text, dict):
        return  # said by the structure: it must be text
    if key not in known_keys():
        otherwise = f"Keys for pages: {', '.join(sorted(PAGE_KEYS))}."
        yield Complaint(path, "there is no such text", did_you_mean(key, known_keys(), otherwise=otherwise))
    elif isinstance(text, str) and not text.strip():
        yield Complaint(path, "is empty", "Leave the key out to keep the usual words.")
    elif isinstance(text, str) and key not in PAGE_KEYS:
        allowed = PLACEHOLDERS if key.endswith(".detail") else frozenset()
        for name in dict.fromkeys(PLACEHOLDER.findall(text)):
            if name not in allowed:
                suggestion = 'A detail can take "{detail}", the usual sentence with its figures.' if allowed else None
                yield Complaint(path, f"{{{name}}} stands for nothing here", suggestion)


def _colours(product: Product) -> Iterator[Complaint]:
    for key, colour, page, word in (
        ("accent", product.brand.accent, LIGHT_PAGE, "light"),
        ("accent_dark", product.brand.accent_dark, DARK_PAGE, "dark"),
    ):
        ratio = contrast(colour, page)
        if ratio < MIN_CONTRAST:
            reason = (
                f"{colour} has a contrast of {ratio:.1f} against the {word} page; people need {MIN_CONTRAST} to read it"
            )
            yield Complaint(("brand", key), reason, f'Write "{readable(colour, page)}" for the same hue.')


def _prices(product: Product) -> Iterator[Complaint]:
    most = max(
        [
            product.sign_in.gift_credits,
            *(plan.credits_month for plan in product.plans.values()),
            *(topup.credits for topup in product.topups.values()),
        ]
    )
    if (terms := product.payments.amount) is not None:
        most = max(most, int(Decimal(terms.max_usd) * terms.credits_per_usd))
    for name, operation in product.operations.items():
        if (dearest := most_price(operation)) > most:
            up_to = "up to " if varies(operation) else ""
            reason = f"costs {up_to}{dearest} credits, but no plan and no top-up brings more than {most}"
            yield Complaint(("operations", name, "price"), reason, "Nobody could pay for it at once.")
    rates = [(topup.credits, Decimal(topup.price_usd) / topup.credits, name) for name, topup in product.topups.items()]
    best: tuple[Decimal, str] | None = None
    for _credits, rate, name in sorted(rates):
        if best is not None and rate > best[0]:
            yield Complaint(
                ("topups", name, "price_usd"), f'one credit costs more than in the smaller top-up "{best[1]}"'
            )
        best = (rate, name)


def _plans(product: Product) -> Iterator[Complaint]:
    paid = [(Decimal(plan.price_usd_month or 0), name) for name, plan in product.plans.items()]
    for price, name in paid:
        cheaper = [(product.plans[other].head_start_s, other) for less, other in paid if less < price]
        ahead, ahead_name = max(cheaper, default=(0, ""))
        if product.plans[name].head_start_s < ahead:
            yield Complaint(
                ("plans", name, "head_start_s"), f'its jobs start behind those of the cheaper plan "{ahead_name}"'
            )
    first = product.plans[product.visitor_plan]
    if product.sign_in.anonymous and first.limits.jobs_per_day is None:
        reason = "visitors who never signed up may start any number of jobs"
        path: KeyPath = ("plans", product.visitor_plan, "limits", "jobs_per_day")
        yield Complaint(path, reason, "Set it, or set sign_in.anonymous = false.")


def _unused(product: Product) -> Iterator[Complaint]:
    routed = {name for operation in product.operations.values() for name in operation.providers}
    for name in product.providers:
        if name not in routed:
            yield Complaint(("providers", name), "no operation's route names it", "Name it in a route, or take it out.")
    for name, operation in product.operations.items():
        taken = any(ADAPTERS[product.providers[provider].adapter].takes_prompt for provider in operation.providers)
        if operation.prompt is not None and not taken:
            yield Complaint(("operations", name, "prompt"), "no provider in its route takes a prompt", "Leave it out.")


def _ceilings(product: Product) -> Iterator[Complaint]:
    """Yield ceilings that say nothing about a provider without a price, or that its price is always above."""
    for name, operation in product.operations.items():
        for at, leg in enumerate(operation.legs):
            provider = product.providers[leg.provider]
            if not ADAPTERS[provider.adapter].needs_key:
                continue
            for path, most in ((("route", at, "max_cost_usd"), leg.max_cost_usd), (_WHOLE, operation.max_cost_usd)):
                if most is not None and Decimal(provider.cost_usd) > Decimal(most):
                    reason = f'is less than one call of "{leg.provider}" costs ({provider.cost_usd}): it is never asked'
                    yield Complaint(("operations", name, *path), reason)
                elif most is not None and Decimal(provider.cost_usd) == 0:
                    reason = f'nobody knows what "{leg.provider}" costs before some calls have been measured'
                    yield Complaint(("operations", name, *path), reason, f"Set providers.{leg.provider}.cost_usd.")


_WHOLE = ("max_cost_usd",)
