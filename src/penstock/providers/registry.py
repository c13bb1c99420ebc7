"""From a provider in the product file to whoever does the work: one factory for each adapter that is built.

`product.adapters` says which adapters there are and what they can do without loading any of them; the tests prove
that every adapter called built there has its factory here.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from penstock.product.schema import Product
from penstock.product.schema_providers import Provider as ProviderSettings
from penstock.providers import local
from penstock.providers.anthropic import AnthropicProvider
from penstock.providers.gemini import GeminiProvider
from penstock.providers.onnx import OnnxProvider
from penstock.providers.openai_chat import OpenAiChatProvider
from penstock.providers.openai_images import OpenAiImagesProvider
from penstock.providers.replicate import ReplicateProvider
from penstock.providers.runpod import RunPodProvider
from penstock.providers.seam import Provider
from penstock.providers.stability import StabilityProvider
from penstock.providers.surroundings import Surroundings

Factory = Callable[[str, ProviderSettings, Surroundings], Provider]


def _local(name: str, settings: ProviderSettings, around: Surroundings) -> Provider:  # noqa: ARG001 - it has none
    return local.LocalProvider(name, around.children)


FACTORIES: Mapping[str, Factory] = {
    "local": _local,
    "onnx": OnnxProvider,
    "gemini": GeminiProvider,
    "openai_images": OpenAiImagesProvider,
    "openai_chat": OpenAiChatProvider,
    "anthropic": AnthropicProvider,
    "stability": StabilityProvider,
    "runpod": RunPodProvider,
    "replicate": ReplicateProvider,
}


def preload_for(product: Product) -> tuple[str, ...]:
    """Return the modules that a pool of children should have loaded before its first call for a product."""
    tasks = {operation.task for operation in product.operations.values()}
    return (*local.PRELOAD, *(local.PRELOAD_DIAGRAMS if "diagram" in tasks else ()))


def open_providers(
    product: Product,
    usable: Collection[str],
    around: Surroundings,
    factories: Mapping[str, Factory] = FACTORIES,
) -> dict[str, Provider]:
    """Return the providers of a product that are on, by name.

    Args:
        usable: names of providers whose key and adapter are there; see `product.availability`.
    """
    around = replace(around, folder=product.folder)
    return {
        name: factories[settings.adapter](name, settings, around)
        for name, settings in product.providers.items()
        if name in usable
    }
