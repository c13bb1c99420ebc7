"""What every answer carries, and what becomes of everything that goes wrong."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import structlog
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from penstock.admission.rates import Rate
from penstock.app import callers
from penstock.app.edge import Edge, content_security_policy
from penstock.app.field_errors import field_errors
from penstock.app.problems import CatchAll, problem_for, respond, type_of
from penstock.kit.database import DatabaseUnavailableError
from penstock.kit.errors import CODES, Action, FieldError, Problem
from penstock.media.storage import StorageError
from penstock.observability import metrics
from tests.support.flows import make_product
from tests.support.servers import API, Running, running


@pytest_asyncio.fixture
async def run(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, works=False) as made:
        yield made


async def failing(run: Running, error: Exception) -> httpx2.Response:
    """Return the answer of an endpoint that raises `error`."""

    async def broken() -> None:
        raise error

    run.app.add_api_route("/api/v1/broken", broken)
    return await run.client.get(f"{API}/broken")


@pytest.mark.parametrize("path", ["/", "/api/v1/product", "/api/v1/nothing", "/assets/gone.js", "/api/v1/jobs"])
async def test_every_answer_is_dressed(run: Running, path: str) -> None:
    answer = await run.client.get(path)

    assert answer.headers["content-security-policy"] == content_security_policy()
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-request-id"].startswith("req_")
    assert "strict-transport-security" not in answer.headers
    assert "unsafe" not in content_security_policy()


async def test_https_is_asked_for_over_https(run: Running) -> None:
    transport = httpx2.ASGITransport(run.app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://penstock.test") as client:
        answer = await client.get("/")

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("trace-1.2_3", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("a b", False),
        ("<script>", False),
        ("", False),
        ("-flag", False),
    ],
)
async def test_a_sane_request_id_is_kept(run: Running, given: str, kept: bool) -> None:
    answer = await run.client.get("/api/v1/product", headers={"x-request-id": given})

    assert (answer.headers["x-request-id"] == given) is kept
    assert answer.headers["x-request-id"]


async def test_what_is_ones_own_is_not_cached(run: Running) -> None:
    ann = await run.customer()

    assert (await ann.get("/me")).headers["cache-control"] == "no-store"
    assert (await run.client.get(f"{API}/me")).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PATCH"])
async def test_unknown_addresses_of_the_interface(run: Running, method: str) -> None:
    answer = await run.client.request(method, f"{API}/no/such/thing")

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/api/v1/jobs"), ("PUT", "/api/v1/product"), ("POST", "/")])
async def test_wrong_methods_are_told_the_right_ones(run: Running, method: str, path: str) -> None:
    answer = await run.client.request(method, path)

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
    assert "GET" in answer.json()["detail"]


async def test_a_problem_has_the_shape_of_the_interface(run: Running) -> None:
    problem = Problem(
        "rate_limited",
        "Slowly, please.",
        actions=[Action("wait", "Wait"), Action("upgrade", "Plans", "/pricing")],
        errors=[FieldError("inputs.picture", "No.")],
        retry_after_s=1.2,
    )
    answer = await failing(run, problem)

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "2"
    assert answer.json() == {
        "type": "https://iana.org/assignments/http-problem-types#quota-exceeded",
        "title": "Too many requests",
        "status": 429,
        "code": "rate_limited",
        "detail": "Slowly, please.",
        "retry_after_s": 1.2,
        "actions": [{"kind": "wait", "label": "Wait"}, {"kind": "upgrade", "label": "Plans", "url": "/pricing"}],
        "errors": [{"field": "inputs.picture", "message": "No."}],
    }


async def test_what_is_absent_is_left_out(run: Running) -> None:
    answer = await failing(run, Problem("not_found", "There is no such thing."))

    assert set(answer.json()) == {"type", "title", "status", "code", "detail"}
    assert "retry-after" not in answer.headers


def test_the_product_has_the_last_word() -> None:
    product = make_product(
        texts={"error.busy.title": "Come back", "error.busy.detail": "{detail} We are few."},
    )
    answer = respond(Problem("busy", "Too much to do."), product)

    assert b'"title":"Come back"' in bytes(answer.body)
    assert b'"detail":"Too much to do. We are few."' in bytes(answer.body)


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_a_type_and_its_status(code: str) -> None:
    answer = respond(Problem(code, "What happened."), make_product())

    assert answer.status_code == CODES[code][0]
    assert type_of(code).startswith(("urn:penstock:problem:", "https://iana.org/"))


@pytest.mark.parametrize("error", [DatabaseUnavailableError("disk I/O error at 0x1"), StorageError("bucket gone")])
async def test_a_database_that_is_gone_is_unavailable(run: Running, error: Exception) -> None:
    answer = await failing(run, error)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert "disk" not in answer.text
    assert "bucket" not in answer.text


async def test_a_bug_says_nothing_technical_and_is_logged_with_its_request(run: Running) -> None:
    before = metrics.CRASHES._value.get()
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await failing(run, ZeroDivisionError("secret of line 7"))

    [crash] = [line for line in lines if line["event"] == "request.crashed"]
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert "ZeroDivision" not in answer.text
    assert crash["request_id"] == answer.headers["x-request-id"]
    assert isinstance(crash["exc_info"], ZeroDivisionError)
    assert metrics.CRASHES._value.get() == before + 1


async def test_a_request_is_logged_with_its_account_and_never_its_path(run: Running) -> None:
    ann = await run.customer()
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        await ann.get("/jobs/job_of_somebody")

    [line] = [line for line in lines if line["event"] == "http.request"]
    assert (line["route"], line["status"], line["account_id"]) == ("/api/v1/jobs/{job_id}", 404, ann.id)
    assert "job_of_somebody" not in str(line)


async def test_an_answer_that_has_begun_is_not_answered_twice() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("half-way")

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/", "method": "GET", "headers": [], "scheme": "http"}
    await CatchAll(half, make_product)(scope, None, send)  # type: ignore[arg-type]

    assert [message["type"] for message in sent] == ["http.response.start"]


async def test_requests_have_a_limit_of_each_account(run: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "REQUESTS", Rate.per("requests", burst=3, window_s=60))
    ann, bob = await run.customer(), await run.customer()
    answers = [await ann.get("/credits") for _ in range(4)]
    other = await bob.get("/credits")

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert answers[2].headers["ratelimit"].startswith('"requests";r=0')
    assert answers[3].json()["code"] == "rate_limited"
    assert int(answers[3].headers["retry-after"]) >= 1
    assert other.status_code == 200


async def test_large_answers_are_compressed_for_who_takes_it(run: Running) -> None:
    packed = await run.client.get(f"{API}/product", headers={"accept-encoding": "gzip"})
    plain = await run.client.get(f"{API}/product", headers={"accept-encoding": "identity"})

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_other_refusals_of_the_framework_are_problems_too() -> None:
    assert problem_for(HTTPException(400)).code == "invalid_input"
    assert problem_for(HTTPException(415)).code == "unsupported_media"
    assert problem_for(HTTPException(418)).code == "forbidden"
    assert problem_for(HTTPException(504)).code == "unavailable"


def test_a_field_is_named_as_it_is_written() -> None:
    found = field_errors(
        [
            {"type": "missing", "loc": ("body", "operation"), "msg": ""},
            {"type": "float_type", "loc": ("body", "options", "corners", 0, 1), "msg": ""},
            {"type": "greater_than_equal", "loc": ("query", "limit"), "msg": "", "ctx": {"ge": 1}},
            {"type": "json_invalid", "loc": ("body", 17), "msg": ""},
            {"type": "decimal_max_places", "loc": ("body", "amount"), "msg": "", "ctx": {"decimal_places": 2}},
            {"type": "something_new", "loc": ("body", "a"), "msg": "Input should be nicer"},
            {"type": "something_new", "loc": ("body", "a"), "msg": "Input should be much nicer"},
        ]
    )

    assert [(error.field, error.message) for error in found] == [
        ("operation", "This is missing."),
        ("options.corners[0][1]", "This must be a number."),
        ("limit", "This must be 1 or more."),
        ("", "The body is not valid JSON."),
        ("amount", "This can have 2 decimals at most."),
        ("a", "This should be nicer."),
    ]


async def test_lifespan_passes_through() -> None:
    seen = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    await Edge(inner, "")({"type": "lifespan"}, None, None)  # type: ignore[arg-type]

    assert seen == ["lifespan"]
