"""The description of the interface is complete and agrees with api.md's fixed points."""

import re
from typing import Any

import pytest

from penstock.app import endpoints
from penstock.app.application import ROUTERS, bare_app
from penstock.app.openapi import ERRORS, TAGS, operations
from penstock.kit.errors import CODES

DOCUMENT = bare_app().openapi()
EVERY = {operation["operationId"]: operation for operation in operations(DOCUMENT)}
NAMES = re.compile(r"[a-z]+(_[a-z]+)*")

# What other people's programs rely on.
FIXED = {
    ("post", "/api/v1/auth/register", "201"),
    ("post", "/api/v1/auth/login", "200"),
    ("post", "/api/v1/auth/refresh", "200"),
    ("post", "/api/v1/auth/logout", "204"),
    ("get", "/api/v1/me", "200"),
    ("post", "/api/v1/me/keys", "201"),
    ("get", "/api/v1/product", "200"),
    ("get", "/api/v1/health", "200"),
    ("get", "/api/v1/health", "503"),
    ("post", "/api/v1/uploads", "201"),
    ("post", "/api/v1/jobs", "202"),
    ("post", "/api/v1/jobs", "200"),
    ("post", "/api/v1/jobs/quote", "200"),
    ("get", "/api/v1/jobs/{job_id}", "200"),
    ("get", "/api/v1/jobs", "200"),
    ("post", "/api/v1/jobs/{job_id}/cancel", "200"),
    ("post", "/api/v1/jobs/{job_id}/retry", "202"),
    ("get", "/api/v1/jobs/{job_id}/events", "200"),
    ("get", "/api/v1/results/{result_id}", "200"),
    ("get", "/api/v1/results/{result_id}/file", "200"),
    ("delete", "/api/v1/results/{result_id}", "204"),
    ("get", "/api/v1/credits", "200"),
    ("get", "/api/v1/credits/entries", "200"),
    ("get", "/api/v1/usage", "200"),
    ("get", "/api/v1/plans", "200"),
    ("get", "/api/v1/topups", "200"),
}


def test_the_fixed_points_are_there() -> None:
    described = {
        (method, path, status)
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
        for status in operation["responses"]
    }

    assert described >= FIXED


def test_no_operation_is_forgotten() -> None:
    assert set(ERRORS) == set(EVERY)
    routes = [route for router in (endpoints.router, *ROUTERS) for route in router.routes]
    assert len(EVERY) == len([route for route in routes if getattr(route, "include_in_schema", False)])


@pytest.mark.parametrize("name", EVERY)
def test_each_operation_is_described(name: str) -> None:
    operation = EVERY[name]

    assert NAMES.fullmatch(name)
    assert set(operation["tags"]) <= set(TAGS)
    assert operation["summary"]
    assert operation["description"]
    assert all(parameter.get("description") for parameter in operation.get("parameters", []))


@pytest.mark.parametrize("name", EVERY)
def test_each_answer_has_a_shape_and_each_problem_an_example(name: str) -> None:
    for status, response in EVERY[name]["responses"].items():
        content = response.get("content", {})
        if status.startswith("4") and status != "416":
            examples = content["application/problem+json"]["examples"]
            assert {example["value"]["status"] for example in examples.values()} == {int(status)}
            assert set(examples) <= set(CODES)
        elif status in {"200", "201", "202"} and name != "presign":
            assert all(kind["schema"] for kind in content.values())
            assert content


def test_json_bodies_have_examples() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    bodies = [
        kind["schema"]["$ref"].rpartition("/")[2]
        for operation in EVERY.values()
        for media_type, kind in operation.get("requestBody", {}).get("content", {}).items()
        if media_type == "application/json" and "$ref" in kind["schema"]
    ]

    assert bodies
    assert all(schemas[name].get("examples") for name in bodies)


def test_every_reference_leads_somewhere_and_nothing_lies_about_unused() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    named = {reference.rpartition("/")[2] for reference in references(DOCUMENT)}

    assert named == set(schemas)
    assert "HTTPValidationError" not in schemas


def test_who_may_call_is_told() -> None:
    assert "security" not in EVERY["show_product"]
    assert {"bearer": []} in EVERY["submit_job"]["security"]
    assert {} not in EVERY["submit_job"]["security"]
    assert {"visitor": []} not in EVERY["add_key"]["security"]
    assert {} in EVERY["quote_job"]["security"]


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for item in node.values() for found in references(item)]
