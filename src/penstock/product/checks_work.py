"""What the shape of a file cannot say: that routes, tasks, providers and options fit together.

These checks read the document as it was written, not the finished product, so that they speak also where something
else is still wrong: all mistakes are found in one go. Each skips what is not of its shape; that has been said.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.product.adapters import ADAPTERS, TASKS, Adapter, comes_to
from penstock.product.checks_onnx import onnx_complaints
from penstock.product.checks_options import understood_complaints
from penstock.product.checks_prices import price_complaints
from penstock.product.mistakes import Complaint, did_you_mean, listed
from penstock.product.positions import KeyPath
from penstock.product.schema import Workers
from penstock.product.schema_work import Input, on_step
from penstock.product.structure import Document, shown
from penstock.product.texts import PLACEHOLDER

# Which keys of an option belong to which kind.
_OPTION_KEYS: dict[str, tuple[str, ...]] = {
    "choice": ("default", "choices"),
    "toggle": ("default",),
    "range": ("default", "min", "max", "step"),
    "corners": (),
}
_DEFAULTS: dict[str, tuple[type, ...]] = {"choice": (str,), "toggle": (bool,), "range": (int, float)}
_DEFAULT_WORDS = {"choice": "one of the choices", "toggle": "true or false", "range": "a number"}


def tables(value: object) -> dict[str, dict[str, Any]]:
    """Return the tables inside a table, by name; nothing where there is something else."""
    if not isinstance(value, dict):
        return {}
    return {name: inner for name, inner in value.items() if isinstance(inner, dict)}


def texts_of(value: object) -> list[tuple[int, str]]:
    """Return the texts in a list with their places."""
    return [(at, item) for at, item in enumerate(value) if isinstance(item, str)] if isinstance(value, list) else []


def legs_of(value: object) -> list[tuple[KeyPath, str]]:
    """Return the providers that a route names, each with its place below the route."""
    found: list[tuple[KeyPath, str]] = []
    for at, entry in enumerate(value if isinstance(value, list) else []):
        place, name = ((at, "provider"), entry.get("provider")) if isinstance(entry, dict) else ((at,), entry)
        if isinstance(name, str):
            found.append((place, name))
    return found


def number(value: object) -> float | None:
    """Return a number, or None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def work_complaints(document: Document, adapters: Mapping[str, Adapter] = ADAPTERS) -> Iterator[Complaint]:
    """Yield what does not fit in operations, providers and workers."""
    yield from _workers(document)
    providers = tables(document.get("providers"))
    for name, provider in providers.items():
        yield from _provider(("providers", name), provider, adapters)
    for name, operation in tables(document.get("operations")).items():
        path: KeyPath = ("operations", name)
        yield from _route(path, operation, providers, adapters)
        yield from _task(path, operation)
        yield from _inputs(path, operation)
        yield from _prompt(path, operation)
        options = tables(operation.get("options"))
        for option, settings in options.items():
            yield from _option((*path, "options", option), settings)
        yield from _cache(path, operation)
        yield from price_complaints((*path, "price"), operation, options)
        yield from understood_complaints(path, operation, options, _adapters(operation, providers, adapters))


def _cache(path: KeyPath, operation: dict[str, Any]) -> Iterator[Complaint]:
    price, cached = operation.get("price"), number(operation.get("cache_price"))
    price = number(price.get("base") if isinstance(price, dict) else price)
    if cached is not None and "cache" not in operation:
        advice = 'Write cache = "account" or "everyone", too, or leave it out.'
        yield Complaint((*path, "cache_price"), "is the price of stored results, and none are given", advice)
    elif cached is not None and price is not None and cached > price:
        yield Complaint((*path, "cache_price"), f"is {cached:g}, and the price is {price:g}", "Write a smaller number.")


def _workers(document: Document) -> Iterator[Complaint]:
    workers = document.get("workers")
    if isinstance(workers, dict):
        least, most = number(workers.get("slots_min")), number(workers.get("slots", Workers().slots))
        if least is not None and most is not None and least > most:
            reason = f"is {least:g}, and `slots` is {most:g}"
            yield Complaint(("workers", "slots_min"), reason, "Write a smaller number, or leave it out.")


def _provider(path: KeyPath, provider: dict[str, Any], adapters: Mapping[str, Adapter]) -> Iterator[Complaint]:
    name = provider.get("adapter")
    if not isinstance(name, str):
        return
    if name not in adapters:
        known = f"Known adapters: {listed(adapters)}."
        yield Complaint(
            (*path, "adapter"), f"there is no adapter {shown(name)}", did_you_mean(name, adapters, otherwise=known)
        )
        return
    if adapters[name].needs_key and "key_env" not in provider and not _keyless(provider, adapters[name]):
        example = f'For example: key_env = "{re.sub(r"[^A-Z0-9]", "_", name.upper())}_API_KEY"'
        yield Complaint((*path, "key_env"), f'is missing: the adapter "{name}" needs a key', example)
    if adapters[name].needs_model and "model" not in provider:
        yield Complaint((*path, "model"), f'is missing: the adapter "{name}" must be told which model to ask')
    if not adapters[name].needs_key and "key_env" in provider:
        yield Complaint((*path, "key_env"), f'the adapter "{name}" takes no key', "Leave it out.")
    yield from onnx_complaints(path, provider, wanted=adapters[name].runs_models)


def _keyless(provider: Mapping[str, Any], adapter: Adapter) -> bool:
    return adapter.keyless_elsewhere and "base_url" in provider


def _route(
    path: KeyPath, operation: dict[str, Any], providers: dict[str, dict[str, Any]], adapters: Mapping[str, Adapter]
) -> Iterator[Complaint]:
    seen: set[str] = set()
    yield from _weights((*path, "route"), operation.get("route"))
    for at, name in legs_of(operation.get("route")):
        place = (*path, "route", *at)
        if name in seen:
            yield Complaint(place, f'"{name}" stands in the route twice', "Keep one.")
        elif name not in providers and providers:  # without any, that is the mistake, and it has been said
            otherwise = f"Add a table [providers.{name}], or name one of {listed(providers)}."
            yield Complaint(place, f'there is no provider "{name}"', did_you_mean(name, providers, otherwise=otherwise))
        elif name in providers:
            yield from _support(place, operation.get("task"), name, providers[name], adapters)
        seen.add(name)


def _weights(path: KeyPath, route: object) -> Iterator[Complaint]:
    """Yield the weights that have no neighbour to share the work with."""
    entries = route if isinstance(route, list) else []
    weighted = [isinstance(entry, dict) and "weight" in entry for entry in entries]
    for at, alone in enumerate(weighted):
        if alone and not any(weighted[max(0, at - 1) : at] + weighted[at + 1 : at + 2]):
            reason = "no neighbour in the route has one too, so there is nobody to share the work with"
            yield Complaint((*path, at, "weight"), reason, "Leave it out, or give a neighbour one.")


def _support(
    place: KeyPath, task: object, provider: str, settings: Mapping[str, Any], adapters: Mapping[str, Adapter]
) -> Iterator[Complaint]:
    adapter, model = settings.get("adapter"), settings.get("model")
    if not isinstance(adapter, str) or not isinstance(task, str) or adapter not in adapters or task not in TASKS:
        return
    if task not in adapters[adapter].tasks:
        able = [name for name, facts in adapters.items() if task in facts.tasks]
        reason = f'the provider "{provider}" (adapter "{adapter}") can\'t do the task "{task}"'
        yield Complaint(place, reason, f"It needs the adapter {listed(able, 'or')}.")
    elif isinstance(model, str) and model not in (fit := adapters[adapter].models.get(task, (model,))):
        reason = f'the provider "{provider}" (model "{model}") can\'t do the task "{task}"'
        yield Complaint(place, reason, f"It needs the model {listed(fit, 'or')}.")


def _adapters(
    operation: dict[str, Any], providers: dict[str, dict[str, Any]], adapters: Mapping[str, Adapter]
) -> list[Adapter]:
    """Return the adapters of a route whose options are known: built, and able to do the task.

    None where the route names somebody unknown: that has been said, and nobody knows what they would take.
    """
    names = [providers.get(name, {}).get("adapter") for _, name in legs_of(operation.get("route"))]
    found = [adapters[name] for name in names if isinstance(name, str) and name in adapters]
    task = operation.get("task")
    if len(found) < len(names) or not isinstance(task, str):
        return []
    return [adapter for adapter in found if adapter.built and task in adapter.tasks]


def _task(path: KeyPath, operation: dict[str, Any]) -> Iterator[Complaint]:
    task = operation.get("task")
    if isinstance(task, str) and task not in TASKS:
        known = f"Known tasks: {listed(TASKS)}."
        yield Complaint((*path, "task"), f"there is no task {shown(task)}", did_you_mean(task, TASKS, otherwise=known))
    elif isinstance(task, str):
        output, comes = operation.get("output", "picture"), comes_to(task)
        if output in {"picture", "video", "text"} and output != comes:
            yield Complaint((*path, "output"), f'the task "{task}" comes to a {comes}', f'Write output = "{comes}".')


def _templates(path: KeyPath, wanted: dict[str, Any]) -> Iterator[Complaint]:
    """Yield the templates that are longer than what may be sent."""
    most = wanted.get("max_characters", Input.model_fields["max_characters"].default)
    templates = wanted.get("templates")
    for at, template in enumerate(templates if isinstance(templates, list) else []):
        text = template.get("text") if isinstance(template, dict) else None
        if isinstance(text, str) and isinstance(most, int) and len(text) > most:
            reason = f"has {len(text):,} characters, and `max_characters` is {most:,}"
            yield Complaint((*path, "templates", at, "text"), reason, "Write a shorter text, or allow longer ones.")


def _inputs(path: KeyPath, operation: dict[str, Any]) -> Iterator[Complaint]:
    inputs = tables(operation.get("inputs"))
    for name, wanted in inputs.items():
        for key in ("max_characters", "templates"):
            if wanted.get("kind") == "picture" and key in wanted:
                yield Complaint((*path, "inputs", name, key), "is for texts, this is a picture", "Leave it out.")
        yield from _templates((*path, "inputs", name), wanted)
    task = operation.get("task")
    required = [wanted.get("kind") for wanted in inputs.values() if wanted.get("required", True) is True]
    for kind in sorted(TASKS.get(task, frozenset())) if isinstance(task, str) and inputs else ():
        if kind not in required:
            example = f'For example: {kind} = {{ kind = "{kind}", title = "Your {kind}" }}'
            yield Complaint((*path, "inputs"), f'the task "{task}" needs a required input of kind "{kind}"', example)


def _prompt(path: KeyPath, operation: dict[str, Any]) -> Iterator[Complaint]:
    prompt = operation.get("prompt")
    if not isinstance(prompt, str):
        return
    texts = [name for name, wanted in tables(operation.get("inputs")).items() if wanted.get("kind") == "text"]
    known = [*texts, *tables(operation.get("options"))]
    for name in dict.fromkeys(PLACEHOLDER.findall(prompt)):
        if name not in known:
            otherwise = f"It can take {listed(known)}." if known else "This operation has no text input and no option."
            reason = f"{{{name}}} is neither a text input nor an option of this operation"
            yield Complaint((*path, "prompt"), reason, did_you_mean(name, known, otherwise=otherwise))


def _option(path: KeyPath, option: dict[str, Any]) -> Iterator[Complaint]:
    kind = option.get("kind")
    if not isinstance(kind, str) or kind not in _OPTION_KEYS:
        return
    for key in ("default", "choices", "min", "max", "step"):
        if key in option and key not in _OPTION_KEYS[kind]:
            fits = [other for other, keys in _OPTION_KEYS.items() if key in keys]
            yield Complaint((*path, key), f'an option of kind "{kind}" has none', f"It is for {listed(fits)}.")
    default = option.get("default")
    if default is not None and kind in _DEFAULTS and not _is_kind(default, kind):
        reason = f"is {shown(default)}, but must be {_DEFAULT_WORDS[kind]}"
        yield Complaint((*path, "default"), reason, _default_suggestion(option, kind))
    elif kind == "choice":
        yield from _choice(path, option)
    elif kind == "range":
        yield from _range(path, option)


def _is_kind(default: object, kind: str) -> bool:
    return isinstance(default, _DEFAULTS[kind]) and (kind != "range" or not isinstance(default, bool))


def _default_suggestion(option: dict[str, Any], kind: str) -> str | None:
    default = option["default"]
    if kind == "toggle" and isinstance(default, str):
        return f"Write {'true' if default.casefold() in {'on', 'true', 'yes'} else 'false'} without quotes."
    values = [value for value in _values(option) if isinstance(value, str)]
    return f"The choices are {listed(values)}." if kind == "choice" and values else None


def _values(option: dict[str, Any]) -> list[object]:
    choices = option.get("choices")
    if not isinstance(choices, list):
        return []
    return [choice.get("value") if isinstance(choice, dict) else None for choice in choices]


def _choice(path: KeyPath, option: dict[str, Any]) -> Iterator[Complaint]:
    values = _values(option)
    if len(values) < 2 and isinstance(option.get("choices", []), list):
        example = 'For example: choices = [{ value = "auto", title = "Automatic" }, { value = "off", title = "Off" }]'
        yield Complaint((*path, "choices"), "a choice needs two values at least", example)
    for at, value in enumerate(values):
        if value is not None and value in values[:at]:
            yield Complaint((*path, "choices", at, "value"), f"{shown(value)} stands there twice", "Keep one.")
    default = option.get("default")
    known = [value for value in values if isinstance(value, str)]
    if isinstance(default, str) and known and default not in known:
        suggestion = did_you_mean(default, known, otherwise=f"The choices are {listed(known)}.")
        yield Complaint((*path, "default"), f"{shown(default)} is not one of the choices", suggestion)


def _range(path: KeyPath, option: dict[str, Any]) -> Iterator[Complaint]:
    for key in ("min", "max"):
        if key not in option:
            yield Complaint(
                (*path, key), "is missing: a range needs min and max", f"For example: {key} = {int(key == 'max')}"
            )
    low, high = number(option.get("min")), number(option.get("max"))
    if low is None or high is None:
        return
    if low >= high:
        yield Complaint((*path, "max"), f"must be more than min, which is {low:g}")
        return
    default, step = number(option.get("default")), number(option.get("step"))
    if default is not None and not low <= default <= high:
        yield Complaint((*path, "default"), f"is {default:g}, but must be from {low:g} to {high:g}")
    if step is not None and step > high - low:
        yield Complaint((*path, "step"), f"is {step:g}, but the whole range is only {high - low:g}")
    elif step and default is not None and not on_step(default, low, step):
        yield Complaint((*path, "default"), f"is {default:g}, but must be whole steps of {step:g} above {low:g}")
