"""What OpenAI and everything compatible with it (Ollama, vLLM, LiteLLM) have in common: errors and models."""

from typing import Any

from penstock.providers import replies
from penstock.providers.documents import table, tables, text
from penstock.providers.http import Reply
from penstock.providers.seam import FailureKind, Health, ProviderError
from penstock.providers.vendor import Vendor

_KINDS: dict[str, FailureKind] = {
    "moderation_blocked": "refused",
    "content_policy_violation": "refused",
    "content_filter": "refused",
    "insufficient_quota": "exhausted",
    "billing_hard_limit_reached": "exhausted",
    "image_generation_user_error": "invalid",
    "context_length_exceeded": "invalid",
}
_THE_CUSTOMERS = frozenset({"prompt", "image", "image[]", "mask", "messages"})
MAX_NAMED_MODELS = 5


class OpenAiVendor(Vendor):
    """Speaks with api.openai.com or whatever stands at `base_url`."""

    base_url = "https://api.openai.com/v1"

    priced_as = "openai"

    def _health_path(self) -> str:
        return "/models"

    def _healthy(self, reply: Reply) -> Health:
        names = [text(each.get("id")) for each in tables((reply.document() or {}).get("data"))]
        if not names or {self._model, f"{self._model}:latest"} & set(names):
            return Health(ok=True)
        there = ", ".join(names[:MAX_NAMED_MODELS])
        return Health(ok=False, detail=f"there is no model {self._model}; there is {there}", remedy=self._remedy(404))

    def _failure(self, reply: Reply) -> ProviderError:
        error = table((reply.document() or {}).get("error"))
        failure = replies.failure(reply, self._clock.now(), kind=_kind(reply.status, error))
        return self._explained(reply.status, failure)


def _kind(status: int, error: dict[str, Any]) -> FailureKind | None:
    """Return what the vendor's own words say; None where the status says it all."""
    for name in ("code", "type"):
        if (known := _KINDS.get(text(error.get(name)))) is not None:
            return known
    if status == 400 and error.get("param") in _THE_CUSTOMERS:
        return "invalid"
    return None
