"""What statuses, headers and words mean when a vendor doesn't do the work."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.providers.http import MAX_SHOWN_CHARACTERS, Reply
from penstock.providers.replies import FULL_S, MAX_PAUSE_S, failure, full_until, kind_of, message_of, pause_until, span
from penstock.providers.seam import FAILURE_KINDS, FailureKind

NOW = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC


def reply(status: int = 429, document: object = None, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, named, b"" if document is None else json.dumps(document).encode())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((401, "broken"), (403, "broken"), (404, "broken"), (400, "broken"), (418, "broken"), (301, "broken")),
        *((402, "exhausted"), (413, "invalid"), (422, "invalid"), (429, "limited")),
        *((408, "transient"), (409, "transient"), (500, "transient"), (503, "transient"), (529, "transient")),
        *((502, "unknown"), (504, "unknown"), (524, "unknown")),
    ],
)
def test_a_status_alone_has_a_meaning(status: int, kind: FailureKind) -> None:
    assert kind_of(reply(status)) == kind


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateways_status_in_the_vendors_own_words_is_a_passing_fault(status: int) -> None:
    assert kind_of(reply(status, {"error": {"message": "deadline exceeded"}})) == "transient"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "34"}, 34),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "Fri, 15 Jan 2027 08:01:00 GMT"}, 60),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({"retry_after": "-5"}, 0),
        ({"retry_after": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0),
        ({"retry_after": "1e300"}, MAX_PAUSE_S),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "6m0s"}, 360),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "120ms"}, 0.12),
        (
            {
                "anthropic_ratelimit_input_tokens_remaining": "0",
                "anthropic_ratelimit_input_tokens_reset": "2027-01-15T08:00:20Z",
            },
            20,
        ),
        (
            {
                "x_ratelimit_remaining_requests": "0",
                "x_ratelimit_reset_requests": "2s",
                "x_ratelimit_remaining_tokens": "0",
                "x_ratelimit_reset_tokens": "5s",
            },
            5,
        ),
    ],
)
def test_the_pause_is_read_in_every_form(headers: dict[str, str], seconds: float) -> None:
    said = failure(reply(429, **headers), NOW)
    assert said.kind == "limited"
    assert said.until == pytest.approx(NOW + seconds, abs=1e-6)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"retry_after": "soon"},
        {"retry_after": "nan"},
        {"retry_after": "inf"},
        {"x_ratelimit_remaining_requests": "3", "x_ratelimit_reset_requests": "6m0s"},
        {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "later"},
        {"anthropic_ratelimit_requests_remaining": "0", "anthropic_ratelimit_requests_reset": "tomorrow"},
    ],
)
def test_no_pause_is_made_up(headers: dict[str, str]) -> None:
    assert pause_until(reply(429, **headers), NOW) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "120ms"}, 0.12),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "6m0s"}, FULL_S),
        ({"x_ratelimit_remaining_requests": "1", "x_ratelimit_reset_requests": "6m0s"}, None),
        ({"retry_after": "3"}, None),
        ({}, None),
    ],
)
def test_a_good_answer_that_used_up_a_limit_asks_for_a_short_pause(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert full_until(reply(200, **headers), NOW) == (None if seconds is None else pytest.approx(NOW + seconds))


def test_a_pause_is_only_taken_from_who_is_over_a_rate() -> None:
    assert failure(reply(503, retry_after="60"), NOW).until is None


def test_what_the_adapter_knows_goes_before() -> None:
    said = failure(reply(429, retry_after="60"), NOW, kind="exhausted")
    assert (said.kind, said.until) == ("exhausted", None)
    assert failure(reply(429, retry_after="60"), NOW, until=NOW + 7).until == NOW + 7


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"error": {"message": "bad\n  model"}}, "bad model"),
        ({"error": "no such job"}, "no such job"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"id": "x", "name": "bad_request", "errors": ["a", "b"]}, "a; b"),
        ([{"error": {"message": "in a list"}}], "in a list"),
        ({"error": {"code": 7}}, "{'code': 7}"),
        ({"error": None}, "None"),
    ],
)
def test_the_vendors_words_are_found_in_every_shape(document: object, said: str) -> None:
    assert message_of(reply(400, document)) == said


def test_pages_and_long_texts_are_cut() -> None:
    assert message_of(Reply(502, {}, b"<h1>Bad   gateway</h1>")) == "<h1>Bad gateway</h1>"
    assert message_of(Reply(502, {}, b"")) == "nothing more was said"
    assert len(message_of(reply(400, {"error": "x" * 9_999}))) == MAX_SHOWN_CHARACTERS + 1


@pytest.mark.parametrize(("written", "seconds"), [("1h2m3.5s", 3_723.5), ("34s", 34), ("10", None), ("5s!", None)])
def test_spans(written: str, seconds: float | None) -> None:
    assert span(written) == seconds


@given(st.integers(300, 599), st.dictionaries(st.text(), st.text()), st.binary())
def test_whatever_is_said_it_is_a_kind_and_the_pause_is_bounded(
    status: int, headers: dict[str, str], content: bytes
) -> None:
    said = failure(Reply(status, headers | {"retry-after": content.decode("latin-1")}, content), NOW)
    assert said.kind in FAILURE_KINDS
    assert said.until is None or NOW <= said.until <= NOW + MAX_PAUSE_S
