"""Options that nobody understands: what customers set must reach somebody, or it would be silently ignored.

Part of the checks of the work (`checks_work.py`), for what is right by itself and does not fit the adapters.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.product.adapters import Adapter, KnownOption
from penstock.product.mistakes import Complaint, did_you_mean, listed
from penstock.product.positions import KeyPath
from penstock.product.texts import PLACEHOLDER


def understood_complaints(
    path: KeyPath, operation: Mapping[str, Any], options: Mapping[str, dict[str, Any]], route: list[Adapter]
) -> Iterator[Complaint]:
    """Yield the options of an operation that no adapter in its route understands as they are.

    Args:
        route: the adapters of the route whose options are known; without any, nothing can be said.
    """
    prompt = operation.get("prompt")
    in_prompt = PLACEHOLDER.findall(prompt) if isinstance(prompt, str) else []
    task = operation.get("task")
    known: dict[str, KnownOption] = {}
    for adapter in route:
        known |= adapter.options.get(task, {}) if isinstance(task, str) else {}
    for name, option in options.items() if route else ():
        if option.get("kind") == "corners" or name in in_prompt:
            continue
        if name not in known and any(adapter.any_option for adapter in route):
            continue
        if name in known:
            yield from _fit((*path, "options", name), option, known[name])
        else:
            otherwise = f"They take {listed(known)}." if known else "Take it out, or name it in the prompt."
            suggestion = did_you_mean(name, known, otherwise=otherwise)
            yield Complaint((*path, "options", name), "no provider in the route takes this option", suggestion)


def _fit(path: KeyPath, option: dict[str, Any], known: KnownOption) -> Iterator[Complaint]:
    if option.get("kind") != known.kind:
        reason = f'the provider takes this as an option of kind "{known.kind}"'
        yield Complaint((*path, "kind"), reason, f'Write kind = "{known.kind}".')
    elif known.kind == "choice":
        choices = option.get("choices")
        for at, choice in enumerate(choices if isinstance(choices, list) else []):
            value = choice.get("value") if isinstance(choice, dict) else None
            if isinstance(value, str) and value not in known.values:
                suggestion = did_you_mean(value, known.values, otherwise=f"It takes {listed(known.values)}.")
                yield Complaint((*path, "choices", at, "value"), f'the provider has no "{value}"', suggestion)
    elif known.kind == "range":
        for key in ("min", "max"):
            bound = option.get(key)
            if isinstance(bound, int | float) and not known.low <= bound <= known.high:
                reason = f"is {bound:g}, but the provider takes {known.low:g} to {known.high:g}"
                yield Complaint((*path, key), reason)
