"""Logs are for machines or for people, and never hold a secret."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from penstock.observability.logs import HIDDEN, configure_logging

KEY = "pk_9fK2aQw8ZxYt5VbNm3Lp7Rc1"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhY2NfMSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, before = list(root.handlers), root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)
    structlog.configure(**before)


def logged(*, log_format: str = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(log_format, level, stream)  # type: ignore[arg-type]
    return stream


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_what_was_bound() -> None:
    stream = logged()
    with structlog.contextvars.bound_contextvars(request_id="req_1", account_id="acc_1"):
        structlog.get_logger().info("job.done", job="job_1")

    [line] = lines(stream)
    assert (line["event"], line["job"], line["level"]) == ("job.done", "job_1", "info")
    assert (line["request_id"], line["account_id"]) == ("req_1", "acc_1")
    assert str(line["timestamp"]).endswith("Z")


def test_libraries_log_in_the_same_way() -> None:
    stream = logged()
    logging.getLogger("some.library").warning("odd %s", "thing", extra={"count": 3})

    [line] = lines(stream)
    assert (line["event"], line["level"], line["count"]) == ("odd thing", "warning", 3)


def test_what_is_less_than_the_level_is_not_logged() -> None:
    stream = logged(level="warning")
    structlog.get_logger().info("small talk")
    logging.getLogger("some.library").info("small talk")

    assert stream.getvalue() == ""


def test_signed_addresses_are_hidden() -> None:
    stream = logged()
    signed = "https://files/x.jpg?X-Amz-Credential=AKIA%2F2026&X-Amz-Date=2026&X-Amz-Signature=0123abcd&x=1"
    structlog.get_logger().warning(f"gave {signed}", own="/api/v1/uploads/upl_1/content?until=1&signature=4567ef")

    said = stream.getvalue()
    assert "https://files/x.jpg" in said
    assert "X-Amz-Date=2026" in said
    for secret in ("AKIA", "0123abcd", "4567ef"):
        assert secret not in said


def test_secrets_are_hidden_wherever_they_are() -> None:
    stream = logged()
    structlog.get_logger().warning(
        f"sent Authorization: Bearer {KEY}",
        password="hunter2",
        headers={"Cookie": "penstock_session=abc", "x": f"key {KEY}"},
        refresh_token="rt_1",
        tried=[f"token {TOKEN}"],
        account="acc_1",
    )
    logging.getLogger("some.library").error("key is %s", KEY)

    text = stream.getvalue()
    assert all(secret not in text for secret in ("hunter2", "penstock_session", "rt_1", KEY, TOKEN))
    assert text.count(HIDDEN) >= 6
    assert "acc_1" in text


def test_a_secret_in_an_error_is_hidden_too() -> None:
    stream = logged()
    try:
        raise ValueError(f"could not use {KEY}")
    except ValueError:
        structlog.get_logger().exception("broke")

    [line] = lines(stream)
    assert "ValueError" in str(line["exception"])
    assert KEY not in stream.getvalue()


def test_people_get_text() -> None:
    stream = logged(log_format="console")
    structlog.get_logger().info("job.done", job="job_1")

    assert "job.done" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


def test_no_terminal_means_a_machine() -> None:
    stream = logged(log_format="auto")
    structlog.get_logger().info("job.done")

    assert lines(stream)[0]["event"] == "job.done"
