"""Texts of models: what is left of an answer, and that no answer keeps anybody busy."""

import time

import pytest

from penstock.providers.seam import ProviderError
from penstock.providers.texts import MAX_CHARACTERS, diagram

DRAWN = "flowchart TD\n  a --> b"
SOON_S = 2.0  # on a busy machine; what is looked at in time that grows with the square takes twenty


@pytest.mark.parametrize(
    "said",
    [
        DRAWN,
        f"```mermaid\n{DRAWN}\n```",
        f"Here it is: ``` \t Mermaid  \n{DRAWN}\n  ```\nEnjoy! ```\nmore\n```",
        f"Sure.\n\n{DRAWN}",
        '{"mermaid": "flowchart TD\\n  a --> b"}',
        f"```\n{DRAWN}",
    ],
)
def test_a_diagram_is_found_in_what_stands_around_it(said: str) -> None:
    assert diagram(said) == DRAWN


@pytest.mark.parametrize(
    "part", ["``` ", "x```\n", "```\n```", "```" + " " * 90_000, "[", '{"mermaid":', "%%\n", "\n---", " \n"]
)
def test_no_answer_takes_longer_to_read_than_it_is_long(part: str) -> None:
    said = (part * (MAX_CHARACTERS // len(part) + 1))[:MAX_CHARACTERS]
    started = time.process_time()
    with pytest.raises(ProviderError, match="no Mermaid diagram"):
        diagram(said)
    assert time.process_time() - started < SOON_S
