"""The OpenAPI document: what FastAPI derives from the endpoints, completed with who may call and what can go wrong.

Who may call is read from each endpoint's own dependencies, so it can't differ from what happens. What can go wrong
beside that stands in `ERRORS`, by operation; a test sees to it that no operation is missing.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from penstock.app.problems import MEDIA_TYPE, type_of
from penstock.kit.caller import current_caller, require_caller, require_customer
from penstock.kit.errors import CODES, ActionKind

DESCRIPTION = """\
The HTTP interface of a product that runs on Penstock.

Send `Authorization: Bearer` with an access token (`POST /auth/login`) or an API key (`POST /me/keys`); the web app
uses a session cookie. Where the product allows visitors, a first call without either gets an anonymous account and
a cookie. Everybody sees their own things only: somebody else's are `not_found`.

Work goes like this: `POST /uploads`, `POST /jobs` with an `Idempotency-Key`, then follow the job by
`GET /jobs/{id}/events` (Server-Sent Events) or over the WebSocket `/api/v1/live`, and fetch `GET /results/{id}/file`
(follow redirects: files may lie in object storage). `POST /uploads/presign` spares large pictures the way through here.

Every error is `application/problem+json`; `code` is stable, `detail` is for people, `actions` say what to do instead.
Every answer carries `X-Request-Id`; send your own and it is kept.
"""
TAGS = {
    "product": "What is on offer.",
    "accounts": "Signing up and in, one's own account, API keys.",
    "pictures": "Uploads and results.",
    "jobs": "The work. Live updates: `WS /api/v1/live` takes `{type: hello, token?, after?}`, then "
    "`{type: subscribe, job?}`, and sends events as `GET /jobs/{id}/events` does.",
    "credits": "What one has, what it costs, what was spent.",
    "billing": "Buying plans and credits, subscriptions, payments, and the payment provider's webhooks.",
    "health": "How the server is doing.",
    "admin": "For those who run the service: roles `admin` and `support`.",
    "development": "What stands in for other services while a product is being made.",
}

# What can go wrong in each operation, beside what follows from its dependencies and parameters.
ERRORS: Mapping[str, tuple[str, ...]] = {
    "show_product": (),
    "show_me": (),
    "show_health": (),
    "register": ("forbidden", "blocked", "rate_limited", "busy"),
    "verify_address": (),
    "send_verification": ("wrong_state",),
    "ask_reset": ("forbidden", "rate_limited"),
    "reset_password": ("forbidden", "blocked", "busy"),
    "list_letters": ("not_found",),
    "login": ("unauthenticated", "forbidden", "blocked", "rate_limited", "busy"),
    "refresh": ("unauthenticated", "forbidden", "blocked", "wrong_state"),
    "begin_openid": ("not_found", "rate_limited"),
    "finish_openid": ("unauthenticated", "not_found", "wrong_state", "rate_limited", "blocked"),
    "logout": ("forbidden", "unauthenticated"),
    "logout_everywhere": (),
    "change_profile": ("wrong_state",),
    "add_key": ("wrong_state",),
    "list_keys": (),
    "revoke_key": ("not_found",),
    "upload": ("too_large", "unsupported_media", "invalid_input", "plan_limit", "busy"),
    "presign": ("too_large", "unsupported_media", "plan_limit"),
    "complete_upload": ("not_found", "wrong_state", "too_large", "unsupported_media", "invalid_input", "busy"),
    "send_content": ("forbidden", "wrong_state", "too_large", "unsupported_media", "invalid_input", "busy"),
    "show_upload": ("not_found",),
    "upload_file": ("not_found",),
    "show_result": ("not_found",),
    "result_file": ("not_found",),
    "delete_result": ("not_found",),
    "submit_job": ("insufficient_credits", "not_found", "idempotency_mismatch", "plan_limit"),
    "quote_job": ("not_found",),
    "list_jobs": (),
    "show_job": ("not_found",),
    "cancel_job": ("not_found", "wrong_state"),
    "retry_job": ("insufficient_credits", "not_found", "wrong_state", "idempotency_mismatch", "plan_limit"),
    "follow_job": ("not_found",),
    "list_workers": ("forbidden",),
    "inspect_job": ("forbidden", "not_found"),
    "list_costs": ("forbidden",),
    "show_account": ("forbidden", "not_found"),
    "change_account": ("forbidden", "not_found"),
    "grant_credits": ("forbidden", "not_found", "idempotency_mismatch"),
    "list_audit": ("forbidden",),
    "show_usage": (),
    "show_credits": (),
    "list_credit_entries": (),
    "list_plans": (),
    "list_topups": (),
    "open_checkout": ("wrong_state",),
    "open_portal": ("wrong_state",),
    "show_subscription": (),
    "change_subscription": ("wrong_state",),
    "cancel_subscription": ("wrong_state",),
    "resume_subscription": ("wrong_state",),
    "list_payments": (),
    "count_donation_click": (),
    "show_test_checkout": ("not_found",),
    "pay_test_checkout": ("not_found",),
    "take_stripe_webhook": ("not_found", "forbidden", "unavailable"),
    "take_polar_webhook": ("not_found", "forbidden", "unavailable"),
    "take_runpod_webhook": (),
    "take_replicate_webhook": ("not_found", "forbidden", "unavailable"),
}
PATH_PARAMETERS = {
    "account_id": "the id of an account",
    "provider": "the provider's name in the product file",
    "checkout_id": "the id of a page of the test checkout",
    "job_id": "the id of one of one's jobs",
    "key_id": "the id of one of one's API keys",
    "result_id": "the id of one of one's results",
    "upload_id": "the id of one of one's uploads",
}
_WITHOUT_DATABASE = frozenset({"show_product", "list_plans", "list_topups", "show_health"})
_REPEATED = frozenset({"submit_job", "retry_job"})  # answered with 200 when they come a second time
_SCHEMA = "#/components/schemas/{model}"
_UNUSED = ("HTTPValidationError", "ValidationError")


class ProblemActionView(BaseModel):
    """What to do instead; a button where `url` is given."""

    kind: ActionKind
    label: str
    url: str | None = None


class ProblemFieldView(BaseModel):
    """What is wrong with one field."""

    field: str = Field(examples=["inputs.picture"])
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="a URI that names the kind of problem")
    title: str
    status: int
    code: str = Field(description=f"stable: {', '.join(CODES)}")
    detail: str = Field(description="for the customer: what happened and what to do")
    retry_after_s: float | None = Field(default=None, description="seconds after which trying again makes sense")
    actions: list[ProblemActionView] | None = None
    errors: list[ProblemFieldView] | None = None


def describe(app: FastAPI, routers: Iterable[APIRouter]) -> None:
    """Make the app give its completed description; `routers` hold all of its routes."""
    routes = {route.name: route for router in routers for route in router.routes if isinstance(route, APIRoute)}
    derive = app.openapi

    @lru_cache(maxsize=1)
    def completed() -> dict[str, Any]:
        document = derive()
        document["info"]["description"] = DESCRIPTION
        document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
        _complete_components(document.setdefault("components", {}))
        for operation in operations(document):
            _complete(operation, routes[operation["operationId"]])
        return document

    app.openapi = completed  # type: ignore[method-assign]  # how FastAPI wants it replaced


def operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every operation of a document."""
    for path in document["paths"].values():
        yield from path.values()


def _complete_components(components: dict[str, Any]) -> None:
    schemas = components.setdefault("schemas", {})
    for name in _UNUSED:
        schemas.pop(name, None)
    problem = Problem.model_json_schema(ref_template=_SCHEMA)
    schemas.update(problem.pop("$defs"))
    schemas["Problem"] = problem
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "an access token or an API key"},
        "session": {"type": "apiKey", "in": "cookie", "name": "penstock_session", "description": "the web app's"},
        "visitor": {"type": "apiKey", "in": "cookie", "name": "penstock_visitor", "description": "of a visitor"},
    }


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    who = set(_calls(route.dependant))
    known = bool(who & {current_caller, require_caller, require_customer})
    needed = bool(who & {require_caller, require_customer})
    if known:
        ways: list[dict[str, list[str]]] = [{"bearer": []}, {"session": []}]
        ways += [{"visitor": []}] if require_customer not in who else []
        operation["security"] = ways if needed else [*ways, {}]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter.setdefault("description", PATH_PARAMETERS[parameter["name"]])
    responses = operation["responses"]
    responses.pop("422", None)
    codes = [*_general(operation, route, known=known), *ERRORS[operation["operationId"]]]
    for code in dict.fromkeys(codes):
        _add_error(responses, code)
    if route.name in _REPEATED:
        responses["200"] = {**responses["202"], "description": "Sent before with this key: the same job"}


def _general(operation: Mapping[str, Any], route: APIRoute, *, known: bool) -> Iterator[str]:
    """Yield what can go wrong because of how an operation is called."""
    if known:
        yield from ("unauthenticated", "forbidden", "blocked", "rate_limited")
    given = [parameter for parameter in operation.get("parameters", ()) if parameter["in"] != "path"]
    if given or operation.get("requestBody"):
        yield "invalid_input"
    if operation.get("requestBody"):
        yield "too_large"
    if route.name not in _WITHOUT_DATABASE:
        yield "unavailable"


def _calls(dependant: Dependant) -> Iterator[Any]:
    for inner in dependant.dependencies:
        yield inner.call
        yield from _calls(inner)


def _add_error(responses: dict[str, Any], code: str) -> None:
    """Add an example of a problem to the answers of an operation."""
    status, title = CODES[code]
    response = responses.setdefault(str(status), {"description": title})
    content = response.setdefault("content", {}).setdefault(MEDIA_TYPE, {})
    content["schema"] = {"$ref": _SCHEMA.format(model="Problem")}
    example = {"type": type_of(code), "title": title, "status": status, "code": code, "detail": f"{title}."}
    content.setdefault("examples", {})[code] = {"value": example}
