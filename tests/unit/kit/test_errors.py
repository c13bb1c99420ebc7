"""Problems: one table of codes, and nothing lost on the way."""

import pytest

from penstock.kit.errors import CODES, Action, FieldError, Problem, not_found


def test_a_problem_takes_status_and_title_from_its_code() -> None:
    problem = Problem(
        "rate_limited",
        "Slow down a little.",
        actions=[Action("wait", "Wait")],
        errors=[FieldError("inputs.picture", "is missing")],
        retry_after_s=3.0,
    )
    assert (problem.status, problem.title) == CODES["rate_limited"]
    assert str(problem) == problem.detail == "Slow down a little."
    assert problem.actions == (Action("wait", "Wait"),)
    assert problem.errors[0].field == "inputs.picture"
    assert problem.retry_after_s == 3.0


def test_an_unknown_code_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Problem("no_such_code", "Never shown")


def test_not_found_says_what() -> None:
    assert not_found("job").status == 404
    assert "job" in not_found("job").detail


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_an_error_status_and_a_title(code: str) -> None:
    status, title = CODES[code]
    assert 400 <= status < 600
    assert title
