"""Mermaid's own parser on the server: what it takes, what it complains about, and what a hostile text can do."""

from pathlib import Path

import pytest

from penstock.diagrams import parser
from penstock.kit.children import Children

EVERY_KIND = {
    "flowchart-v2": "flowchart TD\n  a --> b",
    "sequence": "sequenceDiagram\n  A->>B: hi",
    "classDiagram": "classDiagram\n  class A",
    "stateDiagram": "stateDiagram-v2\n  [*] --> A",
    "er": "erDiagram\n  A ||--o{ B : has",
    "gantt": "gantt\n  title A\n  section S\n  a :a1, 2014-01-01, 30d",
    "mindmap": "mindmap\n  root\n    a",
    "pie": 'pie\n  "a" : 3',
    "timeline": "timeline\n  2002: a",
    "journey": "journey\n  title a\n  section b\n    Tea: 5: Me",
    "quadrantChart": "quadrantChart\n  x-axis Low --> High\n  A: [0.3, 0.6]",
    "gitGraph": "gitGraph\n  commit",
}


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_that_is_offered_is_read(kind: str) -> None:
    assert parser.read(EVERY_KIND[kind]) == parser.Verdict(kind)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("flowchart TD\n  a[ --> b", "Parse error on line 3"),
        ('pie\n  "a" 3', "line 2, column 7"),
        ("I can't help with that", "No diagram type detected"),
        ("", "No diagram type detected"),
        ("flowchart TD\n" + "a-->b\n" * 501, "Edge limit exceeded"),
        ("x" * 50_001, "50,000 characters"),
        ("flowchart TD\n  end --> b", "Parse error"),
    ],
)
def test_what_it_complains_about_is_told(text: str, complaint: str) -> None:
    verdict = parser.read(text)
    assert verdict.kind is None
    assert verdict.complaint is not None
    assert complaint in verdict.complaint
    assert len(verdict.complaint) <= parser.MAX_COMPLAINT_CHARACTERS + 1


def test_one_text_does_not_spoil_the_next() -> None:
    parser.read("flowchart TD\n  a[")
    parser.read("%%{init: {'maxEdges': 1, 'securityLevel': 'loose'}}%%\nflowchart TD\n  a --> b")
    assert parser.read("flowchart TD\n  a --> b\n  b --> c").kind == "flowchart-v2"


@pytest.mark.parametrize(
    "hostile",
    [
        "flowchart TD\n" + "subgraph a\n" * 5_000,
        "flowchart TD\n  " + "a[" * 20_000,
        "---\n" + "a: &a [x,x]\n" + "b: &b [*a,*a,*a]\n" * 50 + "---\nflowchart TD\n  a-->b",
        "%%{init: " + "{" * 10_000 + "}%%\nflowchart TD",
        '%%{init: {"__proto__": {"x": 1}, "constructor": {"prototype": {"x": 1}}}}%%\nflowchart TD\n  a-->b',
        "mindmap\n" + "\n".join(" " * at + "x" for at in range(1, 250)),
    ],
)
def test_a_hostile_text_ends_in_a_verdict(hostile: str) -> None:
    verdict = parser.read(hostile)
    assert (verdict.kind is None) == (verdict.complaint is not None)
    assert parser.read("flowchart TD\n  a --> b").kind == "flowchart-v2"


def test_nothing_of_the_machine_is_within_its_reach() -> None:
    reach = "typeof require + typeof process + typeof fetch + typeof std + typeof os + typeof WebAssembly"
    assert parser.load().eval(reach) == "undefined" * 6


def test_a_missing_parser_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(parser, "PARSER", tmp_path / "none.js")
    parser.load.cache_clear()
    with pytest.raises(parser.ParserMissingError, match="web_build"):
        parser.read("flowchart TD")
    parser.load.cache_clear()


async def test_it_works_in_a_fork_of_a_process_that_has_it() -> None:
    children = Children(1, preload=("penstock.diagrams.warm",))
    try:
        for _ in range(2):
            verdict = await children.call(parser.read, "flowchart TD\n  a --> b", timeout_s=30.0)
            assert verdict == parser.Verdict("flowchart-v2")
        verdict = await children.call(parser.read, "flowchart TD\n  a[", timeout_s=30.0)
        assert verdict.complaint is not None
        assert "Parse error" in verdict.complaint
    finally:
        await children.close()
