"""Diagrams without a model: every structure that is taken, and whatever words stand in it, Mermaid reads the result."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.diagrams import parser
from penstock.diagrams.drawing import draw
from penstock.diagrams.labels import MAX_LABEL_CHARACTERS, identifier, label
from penstock.diagrams.shapes import MAX_EDGES, MAX_NODES, NotDrawnError

OUTLINE = "Trip\n  Pack\n    Shoes\n  Drive\n"
ARROWS = "Customer -> Shop: order\nShop -> Stock: reserve\n"
CSV = "from,to,label\nA,B,first\nB,C\n"
SQL = """
CREATE TABLE users (id SERIAL PRIMARY KEY, "first name" VARCHAR(20));
CREATE TABLE orders (
    id INT, user_id INT REFERENCES users (id), product_id INT, PRIMARY KEY (id),
    FOREIGN KEY (product_id) REFERENCES products (id)
);
"""
DOCUMENT = '{"name": "Ada", "address": {"city": "London"}, "tags": ["x", "y"], "books": [{"title": "Notes"}]}'

HOSTILE = (
    '"',
    '"]',
    "end",
    "%%{init: {}}%%",
    "%%",
    "#quot;",
    "#",
    ";",
    "`code`",
    "<script>alert(1)</script>",
    '<img src=x onerror="alert(1)">',
    "]]>",
    "click n1 href",
    "style n1 fill:#f00;",
    "classDef x fill:#f00;",
    "style:#1;",
    "subgraph",
    "wrap: x",
    ":",
    "|",
    "{}",
    "~",
    "<<x>>",
    "direction LR",
    "日本語",
    "שלום",
    "🙂",
    "e\u0301",
    "\u202e",
    "\u0000",
    "\ud7ff",
    "---",
    "--",
    "accTitle: x",
    "title x",
    "link A: B",
    "a\\",
    "$$x$$",
    "&amp;",
    "::icon(fa fa-x)",
    ":::class",
    "@{ shape: x }",
    "()",
    "((",
    "note",
    "loop",
    "o",
    "x",
    "as",
)
WORDS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30), st.lists(st.sampled_from(HOSTILE)).map(" ".join))
thorough = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def readable(text: str) -> str:
    """Check that Mermaid's parser takes a text, and return the kind of diagram that it is."""
    verdict = parser.read(text)
    assert verdict.complaint is None, f"{verdict.complaint}\n\n{text}"
    assert verdict.kind is not None
    return verdict.kind


def test_an_outline_becomes_a_mind_map() -> None:
    drawn = draw(OUTLINE)
    assert readable(drawn) == "mindmap"
    assert drawn.splitlines() == [
        "mindmap",
        '  n0["Trip"]',
        '    n1["Pack"]',
        '      n2["Shoes"]',
        '    n3["Drive"]',
    ]


@pytest.mark.parametrize(
    "text",
    ["- one\n- two\n  - three", "1. one\n2. two", "# Top\n## One\ntext\n## Two", "a\n\tb\n\t\tc", "* a\n* b"],
)
def test_every_way_of_writing_an_outline_is_taken(text: str) -> None:
    assert readable(draw(text)) == "mindmap"
    assert readable(draw(text, "flowchart")) == "flowchart-v2"


def test_headings_hold_what_stands_below_them() -> None:
    drawn = draw("# Top\n## One\n- a\n## Two").splitlines()
    assert drawn == ["mindmap", '  n0["Top"]', '    n1["One"]', '      n2["a"]', '    n3["Two"]']


def test_arrows_become_a_flowchart_or_a_sequence() -> None:
    assert readable(draw(ARROWS)) == "flowchart-v2"
    assert '-->|"order"| n2' in draw(ARROWS)
    assert readable(draw(ARROWS, "sequence")) == "sequence"
    assert "p1->>p2: order" in draw(ARROWS, "sequence")


def test_arrows_with_answers_are_a_sequence() -> None:
    drawn = draw("A -> B: ask\nB --> A: answer")
    assert readable(drawn) == "sequence"
    assert "p2-->>p1: answer" in drawn


def test_arrows_in_a_chain_and_backwards() -> None:
    drawn = draw("A -> B -> C\nD <- C\nalone")
    assert [line.strip() for line in drawn.splitlines() if "-->" in line] == ["n1 --> n2", "n2 --> n3", "n3 --> n4"]
    assert 'n5["alone"]' in drawn


def test_csv_becomes_a_flowchart_with_or_without_a_heading() -> None:
    assert readable(draw(CSV)) == "flowchart-v2"
    assert draw(CSV) == draw(CSV.removeprefix("from,to,label\n"))
    assert draw(CSV) == draw(CSV.replace(",", ";")) == draw(CSV.replace(",", "\t"))


def test_sql_becomes_tables_with_their_keys_and_references() -> None:
    drawn = draw(SQL)
    assert readable(drawn) == "er"
    assert "id PK" in drawn
    assert "user_id FK" in drawn
    assert 'first_name "first name"' in drawn
    assert 't1 ||--o{ t2 : "user_id"' in drawn
    assert 't3["products"]' in drawn, "a table that is referred to, and is not there, is shown all the same"
    assert readable(draw(SQL, "class")) == "classDiagram"


@pytest.mark.parametrize(
    "dialect",
    [
        "CREATE TABLE `a` (`id` INT UNSIGNED NOT NULL AUTO_INCREMENT, PRIMARY KEY (`id`)) ENGINE=InnoDB;",
        "CREATE TABLE [dbo].[a] ([id] INT IDENTITY(1,1) PRIMARY KEY, [at] DATETIME2);",
        "CREATE TEMP TABLE IF NOT EXISTS a (id INTEGER PRIMARY KEY AUTOINCREMENT, x);",
        "create table s.a (id uuid default gen_random_uuid() primary key, t timestamptz, j jsonb, tags text[]);",
    ],
)
def test_sql_of_every_house_is_taken(dialect: str) -> None:
    assert readable(draw(dialect)) == "er"


def test_json_becomes_a_tree_or_classes() -> None:
    assert readable(draw(DOCUMENT)) == "mindmap"
    assert 'n1["name = Ada"]' in draw(DOCUMENT)
    drawn = draw(DOCUMENT, "class")
    assert readable(drawn) == "classDiagram"
    assert "+string_list tags" in drawn
    assert 'c1 *-- "many" c3 : books' in drawn


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("A login flow with a password reset", "an indented outline, arrows"),
        ("Draw this:\n- one\n- two", "an indented outline, arrows"),
        ("One line.\nAnother line.", "an indented outline, arrows"),
        ("x" * 200 + "\n  - " + "y" * 200, "an indented outline, arrows"),
        ("", "an indented outline, arrows"),
        ('{"a": ', "JSON and can't be read: Expecting value (line 1, column 7)"),
        ("[]", "nothing to draw"),
        ("[" * 100_000, "goes too deep"),
        ("[" * 50 + "1" + "]" * 50, "deeper than 40 levels"),
        ("CREATE TABLE (", "SQL can't be read"),
        ("CREATE TABLE a AS SELECT 1", "No table with columns"),
        ("A ->", "only one end"),
    ],
)
def test_what_is_not_taken_is_told_with_what_would_be(text: str, said: str) -> None:
    with pytest.raises(NotDrawnError) as caught:
        draw(text)
    assert said in str(caught.value)


def test_a_kind_that_does_not_suit_the_text_is_told_with_those_that_do() -> None:
    with pytest.raises(NotDrawnError, match="can be drawn as flowchart or sequence, not as gantt"):
        draw(ARROWS, "gantt")
    with pytest.raises(NotDrawnError, match="no classes"):
        draw("[1, 2]", "class")


def test_as_many_arrows_as_mermaid_draws_are_taken_and_no_more() -> None:
    arrows = [f"a{at % 90} -> b{at % 100}: {at}" for at in range(MAX_EDGES)]
    assert readable(draw("\n".join(arrows))) == "flowchart-v2"
    with pytest.raises(NotDrawnError, match="501 arrows, and a diagram holds 500"):
        draw("\n".join([*arrows, "one -> more"]))


def test_as_many_boxes_as_are_drawn_and_no_more() -> None:
    with pytest.raises(NotDrawnError, match=f"a diagram holds {MAX_NODES}"):
        draw("top\n" + "\n".join(f"  {at}" for at in range(MAX_NODES)))


def test_labels_are_short_on_one_line_and_never_empty() -> None:
    assert label("a\nb\t c") == "a b c"
    assert label("") == label(" \u0000 ") == "#8203;"
    assert label('say "hi"') == "say #34;hi#34;"
    assert len(label("x" * 1_000)) < MAX_LABEL_CHARACTERS + 10


def test_identifiers_are_plain_and_begin_with_a_letter() -> None:
    assert identifier("VARCHAR(20)", "type") == "VARCHAR_20"
    assert identifier("2nd", "column") == "column_2nd"
    assert identifier("日本", "column") == "column"


# ---- whatever words stand in it -----------------------------------------------------------------------------------


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5))
@thorough
def test_any_words_in_a_table_of_edges(rows: list[tuple[str, str, str]]) -> None:
    text = json.dumps({source: {target: words} for source, target, words in rows})
    assert readable(draw(text)) == "mindmap"
    assert readable(draw(text, "class")) == "classDiagram"


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=5))
@thorough
def test_any_words_at_arrows(rows: list[tuple[str, str, str]]) -> None:
    text = "\n".join(f"{source} -> {target}: {words}" for source, target, words in rows)
    try:
        drawn, told = draw(text, "flowchart"), draw(text, "sequence")
    except NotDrawnError:
        return
    assert readable(drawn) == "flowchart-v2"
    assert readable(told) == "sequence"


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
@thorough
def test_any_words_in_tables(rows: list[tuple[str, str]]) -> None:
    quoted = [tuple(each.replace('"', '""').replace("\0", "") or "x" for each in row) for row in rows]
    text = "\n".join(
        f'CREATE TABLE "{table}{at}" (id INT PRIMARY KEY, "{column}" TEXT);'
        for at, (table, column) in enumerate(quoted)
    )
    try:
        drawn = draw(text)
    except NotDrawnError:
        return
    assert readable(drawn) == "er"


@given(st.text(max_size=300))
@thorough
def test_any_text_at_all(text: str) -> None:
    try:
        drawn = draw(text)
    except NotDrawnError:
        return
    readable(drawn)


@given(st.lists(st.tuples(st.integers(0, 6), WORDS), min_size=2, max_size=8))
@thorough
def test_any_words_in_an_outline(lines: list[tuple[int, str]]) -> None:
    text = "\n".join("  " * indent + "- " + " ".join(words.split()) for indent, words in lines)
    for kind in ("mindmap", "flowchart"):
        try:
            drawn = draw(text, kind)
        except NotDrawnError:
            return
        readable(drawn)
