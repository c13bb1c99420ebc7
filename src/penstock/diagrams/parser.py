"""Mermaid's own parser, on the server: what it can't read is no diagram, whoever wrote it.

The parser is the JavaScript of the npm package `mermaid`, built into one file with the web app and run by QuickJS, an
small engine without network, files or a page. It is loaded once into the process that children are forked from
(`diagrams.warm`), so a child has it at once; what a text does to it dies with the child.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import quickjs

PARSER = Path(__file__).parent / "built" / "parser.js"
MAX_CHARACTERS = 50_000
"""Of a diagram: beyond this Mermaid draws nothing, whatever the text says."""
MAX_ENGINE_BYTES = 512 << 20
MAX_STACK_BYTES = 2 << 20
CHECK_S = 20.0  # for one text; the largest that can be drawn take about two on a slow machine
MAX_COMPLAINT_CHARACTERS = 600
TOO_LONG = f"The text has more than {MAX_CHARACTERS:,} characters, and Mermaid draws no more."


class ParserMissingError(Exception):
    """The parser has not been built into this installation."""


@dataclass(frozen=True)
class Verdict:
    """What the parser says of a text: the kind of diagram as Mermaid names it, or what it complains about."""

    kind: str | None
    complaint: str | None = None


def read(text: str) -> Verdict:
    """Return what Mermaid's parser says of a text. Runs in a child.

    Errors: ParserMissingError.
    """
    if len(text) > MAX_CHARACTERS:
        return Verdict(None, TOO_LONG)
    engine = load()
    try:
        engine.get("check")(text)
        while engine.execute_pending_job():
            pass
        said = engine.get("verdict")
    except quickjs.JSException as error:  # out of memory or stack
        return Verdict(None, f"The parser gave up: {_shortened(str(error))}")
    if not said:
        return Verdict(None, "The parser came to no end.")
    found = json.loads(said)
    complaint = found["complaint"]
    return Verdict(found["kind"], None if complaint is None else _shortened(complaint))


@cache
def load() -> quickjs.Context:
    """Return the engine with the parser in it; about a second the first time. Errors: ParserMissingError."""
    try:
        source = PARSER.read_text("utf-8")
    except FileNotFoundError as error:
        raise ParserMissingError(
            "Mermaid's parser is missing in this installation: run `python web_build.py`, or install a release."
        ) from error
    engine = quickjs.Context()
    engine.set_memory_limit(MAX_ENGINE_BYTES)
    engine.set_max_stack_size(MAX_STACK_BYTES)
    engine.eval(source)
    return engine


def _shortened(complaint: str) -> str:
    lines = "\n".join(line.rstrip() for line in complaint.strip().splitlines() if line.strip())
    return lines if len(lines) <= MAX_COMPLAINT_CHARACTERS else f"{lines[:MAX_COMPLAINT_CHARACTERS]}…"
