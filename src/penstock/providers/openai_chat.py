"""Texts by `chat/completions`: OpenAI, and everything compatible with it: Ollama, vLLM, LiteLLM."""

from collections.abc import Mapping
from typing import Any, Literal

from penstock.providers.documents import count, table, tables, text
from penstock.providers.openai import OpenAiVendor
from penstock.providers.prices import Tokens
from penstock.providers.seam import Attempt, Finished, ProviderError, Request
from penstock.providers.texts import values_of
from penstock.providers.vendor import JSON, packed
from penstock.providers.words import conversation, rules


class OpenAiChatProvider(OpenAiVendor):
    """Speaks `chat/completions`."""

    tasks = frozenset({"chat", "diagram"})
    mends: Literal[True] = True

    async def submit(self, request: Request, attempt: Attempt) -> Finished:
        """Write the text. Errors: ProviderError."""
        attempt.report("writing", None)
        reply = await self._http.order(
            "/chat/completions", timeout_s=attempt.timeout_s, content=self._body(request), headers=JSON
        )
        if not reply.ok:
            raise self._failure(reply)
        document = self._document(reply)
        bill = self._token_bill(reply, _tokens(table(document.get("usage"))))
        with bill.attached():
            return bill.finished(**values_of(request, _answer(document)))

    def _body(self, request: Request) -> bytes:
        messages = conversation(request)
        if (system := rules(request.task)) is not None:
            messages.insert(0, {"role": "system", "content": system})
        return packed({"model": self._model, "messages": messages, **self._settings.parameters})


def _answer(document: Mapping[str, Any]) -> str:
    """Return what the model wrote. Errors: ProviderError for a refusal, or a text that was cut off."""
    choice = next(iter(tables(document.get("choices"))), {})
    message, reason = table(choice.get("message")), choice.get("finish_reason")
    if message.get("refusal") or reason == "content_filter":
        raise ProviderError("refused", f"refused: {text(message.get('refusal')) or reason}")
    if reason == "length":
        raise ProviderError("broken", "the answer was cut off: allow more tokens in the provider's parameters")
    content = message.get("content")
    if isinstance(content, list):
        return "".join(text(part.get("text")) for part in tables(content))
    return text(content)


def _tokens(usage: Mapping[str, Any]) -> Tokens | None:
    if not usage:
        return None
    return Tokens(
        read=count(usage.get("prompt_tokens")),
        written=count(usage.get("completion_tokens")),
        cached=count(table(usage.get("prompt_tokens_details")).get("cached_tokens")),
    )
