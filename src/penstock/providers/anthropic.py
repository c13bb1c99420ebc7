"""Texts by Anthropic's `messages`; diagrams are held to a shape by a JSON schema.

A refusal is a success whose `stop_reason` says so. Rules that stay the same are marked for the vendor's cache.
"""

from collections.abc import Mapping
from typing import Any, Literal

from penstock.providers import replies
from penstock.providers.documents import count, table, tables, text
from penstock.providers.http import Reply
from penstock.providers.prices import Tokens
from penstock.providers.seam import Attempt, FailureKind, Finished, ProviderError, Request
from penstock.providers.texts import DIAGRAM_SCHEMA, values_of
from penstock.providers.vendor import JSON, Vendor, packed
from penstock.providers.words import conversation, rules

VERSION = "2026-10-21"  # from this one on the vendor refuses temperature, top_p and top_k
MAX_TOKENS = 4_096  # of an answer, unless the provider's parameters say otherwise

_SPENT = ("spend limit", "credit balance")


class AnthropicProvider(Vendor):
    """Speaks `messages`."""

    tasks = frozenset({"chat", "diagram"})
    base_url = "https://api.anthropic.com/v1"
    priced_as = "anthropic"
    mends: Literal[True] = True

    def _headers(self, key: str) -> Mapping[str, str]:
        return {"x-api-key": key, "anthropic-version": VERSION}

    def _health_path(self) -> str:
        return f"/models/{self._model}"

    async def submit(self, request: Request, attempt: Attempt) -> Finished:
        """Write the text. Errors: ProviderError."""
        attempt.report("writing", None)
        reply = await self._http.order(
            "/messages", timeout_s=attempt.timeout_s, content=self._body(request), headers=JSON
        )
        if not reply.ok:
            raise self._failure(reply)
        document = self._document(reply)
        bill = self._token_bill(reply, _tokens(table(document.get("usage"))))
        with bill.attached():
            return bill.finished(**values_of(request, _answer(document)))

    def _body(self, request: Request) -> bytes:
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": MAX_TOKENS,
            "messages": conversation(request),
        }
        if (system := rules(request.task)) is not None:
            body["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
            body["output_config"] = {"format": {"type": "json_schema", "schema": DIAGRAM_SCHEMA}}
        return packed({**body, **self._settings.parameters})

    def _failure(self, reply: Reply) -> ProviderError:
        error = table((reply.document() or {}).get("error"))
        failure = replies.failure(reply, self._clock.now(), kind=_kind(reply.status, error))
        return self._explained(reply.status, failure)


def _kind(status: int, error: Mapping[str, Any]) -> FailureKind | None:
    """Return what the vendor's own words say; None where the status says it all."""
    if table(error.get("details")).get("error_code") == "enforced_spend_limit_reached":
        return "exhausted"
    if status == 400 and any(words in text(error.get("message")).lower() for words in _SPENT):
        return "exhausted"
    return None


def _answer(document: Mapping[str, Any]) -> str:
    """Return what the model wrote. Errors: ProviderError for a refusal, or a text that was cut off."""
    reason = text(document.get("stop_reason"))
    if reason == "refusal":
        raise ProviderError("refused", f"refused: {table(document.get('stop_details')).get('category')}")
    if reason in {"max_tokens", "model_context_window_exceeded"}:
        raise ProviderError("broken", f"the answer was cut off ({reason}): allow more max_tokens in the parameters")
    parts = [text(part.get("text")) for part in tables(document.get("content")) if part.get("type") == "text"]
    return "".join(parts)


def _tokens(usage: Mapping[str, Any]) -> Tokens | None:
    if not usage:
        return None
    made, found = count(usage.get("cache_creation_input_tokens")), count(usage.get("cache_read_input_tokens"))
    return Tokens(
        read=count(usage.get("input_tokens")) + made + found,
        written=count(usage.get("output_tokens")),
        cached=found,
        cache_written=made,
    )
