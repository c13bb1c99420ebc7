"""The interface keeps to its own description, whatever is sent: generated requests against the real application.

Each request must be answered with a status, a media type and a body that the OpenAPI document knows, and never with a
server error. The number of examples is bounded, and they are the same in every run.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CheckContext
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case

from penstock.admission.rates import Rate
from penstock.app import callers
from penstock.app.application import bare_app
from tests.support.servers import PASSWORD, Customer, Running, listening, running

T = TypeVar("T")

EXAMPLES = 12  # of each operation
# The stream of a job ends when the job does, which here is never; without object storage, presigning is a plain 503.
LEFT_OUT = ["follow_job", "presign"]
# Generated requests can't get these right: credentials, keys, pictures, a result, a job that has failed, what is on
# offer, a subscription, a link's token, a signature.
NEVER_RIGHT = {
    "login", "refresh", "revoke_key", "upload", "show_upload", "upload_file", "show_result", "result_file",
    "delete_result", "retry_job", "submit_job", "quote_job", "complete_upload", "send_content",
    "list_workers", "inspect_job", "list_costs", "open_checkout",
    "open_portal", "change_subscription", "cancel_subscription", "resume_subscription", "show_test_checkout",
    "pay_test_checkout", "take_stripe_webhook", "take_polar_webhook", "take_replicate_webhook",
    "verify_address", "ask_reset", "reset_password", "send_verification", "begin_openid", "finish_openid",
    "show_account", "change_account", "grant_credits", "list_audit",
}  # fmt: skip


class Served:
    """The application on a thread of its own, so that a client that waits can talk to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self.run: Running
        self.customer: Customer
        self.job_id = ""
        self.seen: defaultdict[str, set[int]] = defaultdict(set)

    async def _serve(self) -> None:
        async with running(self._folder, works=False) as run, listening(run) as self.run:
            self.customer = await self.run.customer(gift=1_000, plan="open")
            self.job_id = (await self.customer.submit())["id"]
            self._ready.set()
            await self._stop.wait()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Do something on the application's own thread."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    async def signed_in(self) -> dict[str, str]:
        """Sign in anew: one of the operations signs out."""
        credentials = {"email": self.customer.email, "password": PASSWORD}
        answer = await self.run.client.post("/api/v1/auth/login", json=credentials)
        self.run.client.cookies.clear()
        return {"authorization": f"Bearer {answer.json()['access_token']}"}

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callers, "REQUESTS", Rate.per("requests", burst=10**6, window_s=60))
        with Served(tmp_path_factory.mktemp("served")) as made:
            yield made


@pytest.fixture
def headers(served: Served) -> dict[str, str]:
    return served.call(served.signed_in())


schema = schemathesis.openapi.from_dict(bare_app().openapi()).exclude(operation_id=LEFT_OUT)


@schemathesis.serializer("image/heic")
def _as_it_is(_: Any, value: Any) -> Any:
    return value


# The web server reads no longer address, and answers by itself; four parameters of 4,096 characters can make one.
LONGEST_PATH = 65_535  # bytes, with the query
NO_HTTP = b"Invalid HTTP request received."


def well_told(ctx: CheckContext, response: Response, case: "Case[Any]") -> None:
    """Say that an error is a problem with words in it, and that every answer has a name."""
    assert response.headers["x-request-id"]
    if response.status_code >= 400 and case.operation.definition.raw["operationId"] != "show_health":
        body = response.json()
        assert body["status"] == response.status_code
        assert body["code"]
        assert body["detail"]


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_described(case: "Case[Any]", served: Served, headers: dict[str, str]) -> None:
    if "job_id" in case.path_parameters and len(case.path_parameters["job_id"]) % 2:
        case.path_parameters["job_id"] = served.job_id
    response = case.call(base_url=served.run.url, headers=headers)
    if len(response.request.path_url) > LONGEST_PATH:
        assert (response.status_code, response.content) == (400, NO_HTTP)
        return
    case.validate_response(
        response,
        checks=[
            schemathesis.checks.not_a_server_error,
            schemathesis.checks.status_code_conformance,
            schemathesis.checks.content_type_conformance,
            schemathesis.checks.response_schema_conformance,
            well_told,
        ],
    )
    served.seen[case.operation.definition.raw["operationId"]].add(response.status_code)


def test_requests_were_not_all_refused(served: Served) -> None:
    if not served.seen:
        pytest.skip("nothing was asked: this test looks at what the others did")
    never = {name for name, statuses in served.seen.items() if not any(status < 300 for status in statuses)}

    assert never <= NEVER_RIGHT
    assert served.seen["show_job"] >= {200, 404}
