"""What a task is in words, for providers that take nothing else: the operation's prompt goes before."""

from collections.abc import Mapping

from penstock.providers.seam import ProviderError, Request

SHAPES: Mapping[str, str] = {
    "square": "1:1",
    "portrait": "3:4",
    "landscape": "4:3",
    "tall": "9:16",
    "wide": "16:9",
}
"""The option `shape` of `generate`, as width to height."""

_TASKS: Mapping[str, str] = {
    "restore": (
        "Restore this photograph: take out scratches, dust, stains and grain, and bring faded tone back. "
        "Change nothing else: no faces, no shapes, no framing, no colours that were not there."
    ),
    "colourise": (
        "Colourise this black-and-white photograph with natural, restrained colours. "
        "Change nothing else: no faces, no shapes, no framing."
    ),
    "restore_colourise": (
        "Restore this photograph and colourise it with natural, restrained colours. "
        "Take out scratches, dust, stains and fading; keep every face, every shape and the framing."
    ),
    "upscale": "The same picture, sharp and rich in detail.",
}

_RULES: Mapping[str, str] = {
    "diagram": (
        "Answer with one Mermaid diagram and nothing else: no explanation, no code fence. Quote labels that hold "
        "anything but letters, digits and spaces."
    ),
}


def instructions(request: Request) -> str:
    """Return what to do in words. Errors: ProviderError, `broken`, if the operation says nothing at all."""
    said = request.prompt or "\n\n".join(filter(None, request.texts.values())) or _TASKS.get(request.task)
    if not said:
        raise ProviderError("broken", f"the operation has no prompt, and “{request.task}” alone says too little")
    return said


def asked(request: Request) -> str:
    """Return what a model for texts is asked. Errors: ProviderError, `broken`, if nobody said anything."""
    said = request.prompt or "\n\n".join(filter(None, request.texts.values()))
    if not said:
        raise ProviderError("broken", "the operation has no prompt, and the customer wrote nothing")
    return said


def rules(task: str) -> str | None:
    """Return what a model for texts must keep to whatever the prompt says; None if the task has no rules."""
    return _RULES.get(task)


def shape_of(request: Request) -> str | None:
    """Return the shape that the customer chose, as `16:9`; None without a choice."""
    return SHAPES.get(str(request.options.get("shape")))
