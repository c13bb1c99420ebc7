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
        "You turn descriptions into Mermaid diagrams. Answer with one Mermaid diagram and nothing else: no "
        "explanation, no code fence. Begin with the kind of diagram, such as `flowchart TD` or `sequenceDiagram`. "
        "Use short ids without spaces, and never the word `end` as an id. Put labels in double quotes, and write a "
        "double quote inside them as #quot;. Write labels in the language of the description. No links, no "
        "click actions, no HTML, no configuration. What the description asks for that is no diagram, leave out."
    ),
}

DIAGRAMS: Mapping[str, str] = {
    "flowchart": "a flowchart (`flowchart TD` or `flowchart LR`)",
    "sequence": "a sequence diagram (`sequenceDiagram`)",
    "class": "a class diagram (`classDiagram`)",
    "state": "a state diagram (`stateDiagram-v2`)",
    "er": "an entity relationship diagram (`erDiagram`)",
    "gantt": "a Gantt chart (`gantt`)",
    "mindmap": "a mind map (`mindmap`)",
    "pie": "a pie chart (`pie`)",
    "timeline": "a timeline (`timeline`)",
    "journey": "a user journey (`journey`)",
    "quadrant": "a quadrant chart (`quadrantChart`)",
    "git": "a Git graph (`gitGraph`)",
}
"""The values of the option `kind` of `diagram` beside `auto`, as a model is told them."""


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


def conversation(request: Request) -> list[dict[str, str]]:
    """Return what is said to a model for texts, as messages of `role` and `content`. Errors: as `asked`."""
    said = asked(request)
    if request.task == "diagram" and (kind := DIAGRAMS.get(str(request.options.get("kind")))) is not None:
        said = f"{said}\n\nDraw it as {kind}."
    messages = [{"role": "user", "content": said}]
    if request.draft is not None:
        wrong = (
            "Mermaid's parser can't read that. It says:\n\n"
            f"{request.draft.complaint}\n\nAnswer with the whole diagram, corrected, in the same form."
        )
        messages += [{"role": "assistant", "content": request.draft.text}, {"role": "user", "content": wrong}]
    return messages


def rules(task: str) -> str | None:
    """Return what a model for texts must keep to whatever the prompt says; None if the task has no rules."""
    return _RULES.get(task)


def shape_of(request: Request) -> str | None:
    """Return the shape that the customer chose, as `16:9`; None without a choice."""
    return SHAPES.get(str(request.options.get("shape")))
