"""What of a product is on, and why the rest is off: a function of the product, the environment, and models' files.

A provider without its key, or whose model file can't be used, is off, and a route goes on to the next; an operation
is off when its whole route is. The server reads `usable` for its routes; `penstock check` tells the reasons.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from penstock.product.adapters import ADAPTERS, Adapter
from penstock.product.mistakes import Complaint, listed
from penstock.product.onnx_file import trouble_with
from penstock.product.schema import Product
from penstock.product.schema_providers import Provider
from penstock.product.schema_work import Operation


@dataclass(frozen=True)
class ProviderState:
    """Whether a provider is on; `reason` and `remedy` are for operators, `variable` would switch it on."""

    on: bool
    reason: str | None = None
    remedy: str | None = None
    variable: str | None = None


@dataclass(frozen=True)
class OperationState:
    """Whether an operation can be asked for; `route` is what is left of its route."""

    available: bool
    route: tuple[str, ...]
    reason: str | None = None


@dataclass(frozen=True)
class Availability:
    """The state of every provider and every operation, by name."""

    providers: Mapping[str, ProviderState]
    operations: Mapping[str, OperationState]
    payments_lack: tuple[str, ...] = ()
    """The variables without which the payment provider is off."""
    openid_lacks: Mapping[str, str] = field(default_factory=dict)
    """The OpenID providers that are off, by name, each with the variable without which it is."""

    @property
    def usable(self) -> frozenset[str]:
        """The names of the providers that are on."""
        return frozenset(name for name, state in self.providers.items() if state.on)


def availability(
    product: Product,
    environment: Mapping[str, str],
    adapters: Mapping[str, Adapter] = ADAPTERS,
    *,
    videos: bool | None = None,
) -> Availability:
    """Return what is on in `environment`; `videos`: whether they can be made, if that is not to be looked up."""
    videos = videos_can_be_made() if videos is None else videos
    providers = {
        name: _provider_state(provider, adapters[provider.adapter], environment, product.folder)
        for name, provider in product.providers.items()
    }
    operations = {
        name: _operation_state(operation, providers, videos=videos) for name, operation in product.operations.items()
    }
    lacks = openid_lacks(product, environment)
    return Availability(providers, operations, payments_lack(product, environment), lacks)


def openid_lacks(product: Product, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Return the OpenID providers whose secret `environment` does not set, each with its variable."""
    named = {name: provider.client_secret_env for name, provider in product.sign_in.openid.items()}
    return {name: env for name, env in named.items() if env is not None and not environment.get(env, "").strip()}


def payments_lack(product: Product, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that the payment provider needs and `environment` does not set."""
    payments = product.payments
    named = (payments.key_env, payments.webhook_secret_env) if payments.provider is not None else ()
    return tuple(name for name in named if name is not None and not environment.get(name, "").strip())


def off_complaints(states: Availability) -> Iterator[Complaint]:
    """Yield a remark on everything that is off, providers first."""
    for name, provider in states.providers.items():
        if not provider.on:
            yield Complaint(("providers", name), provider.reason or "is off", provider.remedy)
    for name, operation in states.operations.items():
        if not operation.available:
            yield Complaint(("operations", name), operation.reason or "is off", "Customers see it, and can't order it.")
    for name, variable in states.openid_lacks.items():
        remedy = f"Set {variable} to the client's secret to switch it on."
        yield Complaint(("sign_in", "openid", name), f"{variable} is not set", remedy)
    if states.payments_lack:
        missing = " and ".join(states.payments_lack)
        reason = f"{missing} {'is' if len(states.payments_lack) == 1 else 'are'} not set"
        yield Complaint(("payments",), reason, f"Set {missing} to take payments; in development a test checkout is on.")


def _provider_state(
    provider: Provider, adapter: Adapter, environment: Mapping[str, str], folder: Path
) -> ProviderState:
    variable = provider.key_env
    if not adapter.built:
        reason = f'this version of Penstock can\'t speak to the adapter "{provider.adapter}" yet'
        remedy = f"Once it can, {variable} switches it on." if variable else None
        return ProviderState(on=False, reason=reason, remedy=remedy)
    if provider.onnx is not None and (trouble := trouble_with(folder, provider.onnx)) is not None:
        return ProviderState(on=False, reason=trouble.reason, remedy=trouble.remedy)
    keyless = adapter.keyless_elsewhere and provider.base_url is not None and variable is None
    if not adapter.needs_key or keyless or (variable is not None and environment.get(variable, "").strip()):
        return ProviderState(on=True)
    reason, remedy = f"{variable} is not set", f"Set {variable} to its key to switch it on."
    return ProviderState(on=False, reason=reason, remedy=remedy, variable=variable)


def videos_can_be_made() -> bool:
    """Return whether what videos need, an extra, is installed."""
    return find_spec("av") is not None


def _operation_state(operation: Operation, providers: Mapping[str, ProviderState], *, videos: bool) -> OperationState:
    route = operation.providers
    if operation.output == "video" and not videos:
        reason = "videos need an extra that is not installed: pip install 'penstock[video]'"
        return OperationState(available=False, route=(), reason=reason)
    left = tuple(name for name in route if providers[name].on)
    if left:
        return OperationState(available=True, route=left)
    return OperationState(available=False, route=(), reason=f"every provider in its route is off: {listed(route)}")
