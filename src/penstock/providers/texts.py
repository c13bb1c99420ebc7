"""Texts that models write: what is left of an answer once fences and thoughts are gone, and whether it is a diagram."""

import re

from penstock.providers.documents import read, table
from penstock.providers.seam import ProviderError, Request

MAX_CHARACTERS = 100_000
DIAGRAM_SCHEMA = {
    "type": "object",
    "properties": {"mermaid": {"type": "string"}},
    "required": ["mermaid"],
    "additionalProperties": False,
}
"""For models that can be held to a shape."""

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
# Possessive, and each looked for once: whatever an answer is made of, reading it takes no longer than it is long.
_FENCE = re.compile(r"```[ \t]*+(?:mermaid)?[ \t]*+\n", re.IGNORECASE)
_FENCE_END = re.compile(r"\n[ \t]*+```")
# How every kind of Mermaid diagram begins, after comments and front matter.
_BEGINNINGS = re.compile(
    r"(?:flowchart|graph|sequenceDiagram|classDiagram|stateDiagram|erDiagram|journey|gantt|pie|quadrantChart|"
    r"requirementDiagram|gitGraph|C4\w+|mindmap|timeline|zenuml|sankey|xychart|block|packet|kanban|architecture|"
    r"radar|treemap)\b"
)
# A line by itself that a diagram begins with, after words that nobody asked for.
_LATER = re.compile(rf"^[ \t]*{_BEGINNINGS.pattern}[^\n.!?]*$", re.MULTILINE)
_PREAMBLE = re.compile(r"\A(?:\s*---\n.*?\n---\s*\n)?(?:\s*%%[^\n]*\n)*\s*", re.DOTALL)


def values_of(request: Request, answer: str) -> dict[str, str]:
    """Return a model's answer as the job's output: `text`, or `mermaid` for a diagram.

    Errors: ProviderError, `broken`, for an answer that is empty, too long, or no diagram.
    """
    said = _THOUGHTS.sub("", answer).strip()
    if len(said) > MAX_CHARACTERS:
        raise ProviderError("broken", f"the answer has more than {MAX_CHARACTERS:,} characters")
    if not said:
        raise ProviderError("broken", "the answer is empty")
    return {"mermaid": diagram(said)} if request.task == "diagram" else {"text": said}


def diagram(said: str) -> str:
    """Return the Mermaid text of an answer: out of JSON, out of a fence, without what is said before it.

    Errors: ProviderError, `broken`, if there is none. Whether Mermaid can read it is for its parser to say.
    """
    said = _in_json(said) or said
    inner = _in_fence(said).strip()
    if not _begins(inner) and (at := _LATER.search(inner)) is not None:
        inner = inner[at.start() :].strip()
    if not _begins(inner):
        raise ProviderError("broken", f"the answer is no Mermaid diagram: it begins with {inner[:40]!r}")
    return inner


def _begins(text: str) -> bool:
    return bool(_BEGINNINGS.match(text, len(_PREAMBLE.match(text)[0])))  # type: ignore[index]  # matches anything


def _in_fence(said: str) -> str:
    """Return what stands in the first fence; everything where there is none, or where it has no end."""
    begin = _FENCE.search(said)
    end = None if begin is None else _FENCE_END.search(said, begin.end())
    return said if begin is None or end is None else said[begin.end() : end.start()]


def _in_json(said: str) -> str | None:
    found = table(read(said)).get("mermaid")
    return found if isinstance(found, str) else None
