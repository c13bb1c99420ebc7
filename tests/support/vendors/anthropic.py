"""A stand-in for Anthropic's messages."""

import json
from typing import Any

from tests.support.vendors.case import Case, next_order
from tests.support.vendors.wire import KEY, Answer, Asked, StandIn

MODEL = "claude-haiku-5-5"
CATEGORIES = ("cyber", "bio", "frontier_llm", "reasoning_extraction", "general_harms", None)


class AnthropicStandIn(StandIn):
    """Writes a line, or a diagram in the shape that was asked for."""

    def is_order(self, asked: Asked) -> bool:
        return asked.method == "POST"

    def admitted(self, asked: Asked) -> Answer | None:
        # The vendor's own client sends a bearer token, what is written about raw HTTP says x-api-key.
        if asked.headers.get("x-api-key") == KEY or asked.headers.get("authorization") == f"Bearer {KEY}":
            return None
        return error(401, "authentication_error", "invalid x-api-key")

    def look(self, asked: Asked) -> Answer:
        if asked.path == f"/v1/models/{MODEL}":
            return Answer.json({"type": "model", "id": MODEL})
        return error(404, "not_found_error", asked.path)

    def work(self, asked: Asked) -> Answer:
        body = asked.json()
        if asked.path != "/v1/messages" or body["model"] != MODEL:
            return error(404, "not_found_error", f"model: {body['model']}")
        if "anthropic-version" not in asked.headers or not body.get("max_tokens"):
            return error(400, "invalid_request_error", "max_tokens: field required")
        if {"temperature", "top_p", "top_k"} & set(body):
            return error(400, "invalid_request_error", "temperature is not supported in this version")
        if "output_config" in body:
            return said_so(json.dumps({"mermaid": "flowchart TD\n  a --> b"}))
        content = body["messages"][-1]["content"]
        return said_so(f"You said: {content}")


def said_so(content: str, reason: str = "end_turn", details: dict[str, Any] | None = None) -> Answer:
    """Return a message as Anthropic does."""
    usage = {
        "input_tokens": 100,
        "output_tokens": 100,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 1_000,
        "service_tier": "standard",
    }
    document = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": content}] if content else [],
        "stop_reason": reason,
        "stop_sequence": None,
        "stop_details": details,
        "usage": usage,
    }
    return Answer.json(document)


def error(status: int, kind: str, message: str, code: str | None = None, **headers: str) -> Answer:
    """Return an error as Anthropic words it."""
    said: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        said["details"] = {"error_code": code}
    return Answer.json({"type": "error", "error": said, "request_id": "req_1"}, status, **headers)


CASE = Case(
    adapter="anthropic",
    stand_in=AnthropicStandIn,
    settings={"model": MODEL},
    base="/v1",
    task="chat",
    makes="text",
    cost=(10 + 10 + 50, False),  # 100 tokens at 0.10, 1,000 of the cache at 0.01, 100 at 0.50 dollars for a million
    tokens=1_200,
    limited=next_order(error(429, "rate_limit_error", "Slowly.", "ramp_limit_exceeded", retry_after="34")),
    limited_silently=next_order(error(429, "rate_limit_error", "Slowly.")),
    used_up={
        "payment": next_order(error(402, "billing_error", "Pay.")),
        "an enforced limit": next_order(error(429, "rate_limit_error", "Spent.", "enforced_spend_limit_reached")),
        "an own limit": next_order(error(400, "invalid_request_error", "You have reached your spend limit.")),
        "no balance": next_order(error(400, "invalid_request_error", "Your credit balance is too low.")),
    },
    overloaded={
        "overloaded": next_order(error(529, "overloaded_error", "Overloaded")),
        "api error": next_order(error(500, "api_error", "Internal")),
        "timeout": next_order(error(504, "timeout_error", "Took too long")),
        "conflict": next_order(error(409, "conflict_error", "Again")),
    },
    refusals={
        f"{category}": next_order(said_so("", "refusal", {"type": "refusal", "category": category}))
        for category in CATEGORIES
    },
    damaged={
        "nothing": next_order(said_so("")),
        "cut off": next_order(said_so("And then", "max_tokens")),
        "too long a question": next_order(said_so("", "model_context_window_exceeded")),
    },
)
