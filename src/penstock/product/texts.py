"""The words that customers read when something goes wrong, and which words a product file may change.

One table goes from problem codes and kinds of failure to texts; `[texts]` in the product file rewords them by keys
such as `"error.insufficient_credits.title"`. In a reworded detail, `{detail}` stands for the sentence with the
figures that would have been shown: `"{detail} Top up and we go on at once."`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from penstock.kit.errors import CODES, Action, Problem
from penstock.product.schema import Product

FailureKind = Literal[
    "transient", "limited", "exhausted", "refused", "invalid", "broken", "unknown", "timeout", "expired"
]

_BACK = "Your credits are back"
_LATER = Action("wait", "Try again in a few minutes")
_ANOTHER = Action("change_input", "Choose another picture")
PLACEHOLDER = re.compile(r"\{(\w+)\}")
PLACEHOLDERS = frozenset({"detail"})


@dataclass(frozen=True)
class Text:
    """A title and what follows it; both for the customer."""

    title: str
    detail: str


@dataclass(frozen=True)
class FailureText:
    """What a customer is told of a job that failed: the shape of a job's `error`."""

    code: str
    title: str
    detail: str
    actions: tuple[Action, ...]


FAILURES: Mapping[FailureKind, tuple[Text, Action]] = {
    "transient": (
        Text(
            "Our picture service is not answering",
            f"Our picture service is not answering right now. {_BACK}; please try again in a few minutes.",
        ),
        _LATER,
    ),
    "limited": (
        Text(
            "Our picture service has its hands full",
            f"Our picture service takes no more work at the moment. {_BACK}; please try again in a few minutes.",
        ),
        _LATER,
    ),
    "exhausted": (
        Text(
            "This is not available for now",
            f"Our picture service is closed to us for now and we have been told. {_BACK}; please try again tomorrow.",
        ),
        Action("wait", "Try again tomorrow"),
    ),
    "refused": (
        Text(
            "This picture can't be worked on",
            f"Our picture service declined this picture because of its content rules. {_BACK}; "
            "please choose another picture.",
        ),
        _ANOTHER,
    ),
    "invalid": (
        Text(
            "We could not use this picture",
            f"Something about this picture or its settings could not be used. {_BACK}; "
            "please try another picture or other settings.",
        ),
        _ANOTHER,
    ),
    "broken": (
        Text(
            "Something went wrong on our side",
            f"Something went wrong on our side and we have been told. {_BACK}; please try again later.",
        ),
        Action("wait", "Try again later"),
    ),
    "unknown": (
        Text(
            "We did not hear back",
            "Our picture service took your picture, and no answer came back. "
            f"{_BACK}; please try again in a few minutes.",
        ),
        _LATER,
    ),
    "timeout": (
        Text(
            "This took too long",
            f"The work took longer than it may, so we stopped it. {_BACK}; "
            "please try again, perhaps with a smaller picture.",
        ),
        Action("change_input", "Try a smaller picture"),
    ),
    "expired": (
        Text(
            "Your turn did not come in time",
            f"So many pictures were waiting that yours did not get its turn. {_BACK}; please try again later.",
        ),
        Action("wait", "Try again later"),
    ),
}

_UNCOUNTED = "This does not count against your plan"
_CHANGE = Action("change_input", "Change the text")
WRITTEN: Mapping[FailureKind, tuple[Text, Action]] = {
    "transient": (
        Text("Our service is not answering", f"{_UNCOUNTED}. Please try again in a few minutes."),
        _LATER,
    ),
    "limited": (
        Text("Our service has its hands full", f"{_UNCOUNTED}. Please try again in a few minutes."),
        _LATER,
    ),
    "exhausted": (
        Text("This is not available for now", f"We have been told. {_UNCOUNTED}; please try again tomorrow."),
        Action("wait", "Try again tomorrow"),
    ),
    "refused": (
        Text(
            "This can't be worked on",
            f"Our service declined this text because of its content rules. {_UNCOUNTED}; please change the text.",
        ),
        _CHANGE,
    ),
    "invalid": (
        Text("We could not use this text", f"Something about it could not be used. {_UNCOUNTED}."),
        _CHANGE,
    ),
    "broken": (
        Text(
            "Nothing usable came of it",
            f"What came back could not be used, so we don't give it to you. {_UNCOUNTED}; "
            "please try again, perhaps in other words.",
        ),
        _CHANGE,
    ),
    "unknown": (
        Text(
            "We did not hear back",
            f"Our service took your text, and no answer came back. {_UNCOUNTED}; please try again in a few minutes.",
        ),
        _LATER,
    ),
    "timeout": (
        Text("This took too long", f"So we stopped it. {_UNCOUNTED}; please try again, perhaps with less."),
        _CHANGE,
    ),
    "expired": (
        Text("Your turn did not come in time", f"Too many were waiting. {_UNCOUNTED}; please try again later."),
        Action("wait", "Try again later"),
    ),
}
"""The same for products that make texts alone."""

# Words of the pages; what stands there otherwise is the web app's own.
PAGE_KEYS = frozenset(
    {
        "home_title",
        "home_lead",
        "drop_hint",
        "choose",
        "use_camera",
        "privacy_note",
        "edit_title",
        "edit_lead",
        "submit",
        "result_title",
        "start_another",
        "gallery_empty",
        "pricing_title",
        "pricing_lead",
        "home_tab",
    }
)
UNAVAILABLE_KEY = "operation.unavailable"
UNAVAILABLE = "This is not switched on here yet."


def known_keys() -> list[str]:
    """Return every key that `[texts]` may hold."""
    errors = [f"error.{code}.{part}" for code in CODES for part in ("title", "detail")]
    failures = [f"failure.{kind}.{part}" for kind in get_args(FailureKind) for part in ("title", "detail")]
    return sorted([*PAGE_KEYS, UNAVAILABLE_KEY, *errors, *failures])


def reword(problem: Problem, product: Product) -> Problem:
    """Return the problem in the product's own words; everything but title and detail stays."""
    title, detail = _worded(product, f"error.{problem.code}", problem.title, problem.detail)
    reworded = Problem(
        problem.code,
        detail,
        actions=problem.actions,
        errors=problem.errors,
        retry_after_s=problem.retry_after_s,
    )
    reworded.title = title
    return reworded


def failure_text(kind: FailureKind, product: Product, *, message: str | None = None) -> FailureText:
    """Return what a customer is told of a job that failed.

    Args:
        message: what the provider itself had to say to the customer, shown instead of the kind's general detail.
    """
    writes = all(operation.output == "text" for operation in product.operations.values())
    text, action = (WRITTEN if writes else FAILURES)[kind]
    title, detail = _worded(product, f"failure.{kind}", text.title, text.detail if message is None else message)
    return FailureText(kind, title, detail, (action,))


def unavailable_text(product: Product) -> str:
    """Return what stands beside an operation that is off."""
    return product.texts.get(UNAVAILABLE_KEY, UNAVAILABLE)


def _worded(product: Product, key: str, title: str, detail: str) -> tuple[str, str]:
    own = product.texts.get(f"{key}.detail", "{detail}")
    return product.texts.get(f"{key}.title", title), own.replace("{detail}", detail)
