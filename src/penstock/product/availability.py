"""What of a product is on, and why the rest is off: a pure function of the product and the environment.

A provider without its key is off, and a route goes on to the next; an operation is off when its whole route is.
The server reads `usable` for its routes; `penstock check` tells the reasons.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from penstock.product.adapters import ADAPTERS, Adapter
from penstock.product.mistakes import Complaint, listed
from penstock.product.schema import Product, Provider


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

    @property
    def usable(self) -> frozenset[str]:
        """The names of the providers that are on."""
        return frozenset(name for name, state in self.providers.items() if state.on)


def availability(
    product: Product, environment: Mapping[str, str], adapters: Mapping[str, Adapter] = ADAPTERS
) -> Availability:
    """Return what is on in `environment`."""
    providers = {
        name: _provider_state(provider, adapters[provider.adapter], environment)
        for name, provider in product.providers.items()
    }
    operations = {
        name: _operation_state(operation.providers, providers) for name, operation in product.operations.items()
    }
    return Availability(providers, operations, payments_lack(product, environment))


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
    if states.payments_lack:
        missing = " and ".join(states.payments_lack)
        reason = f"{missing} {'is' if len(states.payments_lack) == 1 else 'are'} not set"
        yield Complaint(("payments",), reason, f"Set {missing} to take payments; in development a test checkout is on.")


def _provider_state(provider: Provider, adapter: Adapter, environment: Mapping[str, str]) -> ProviderState:
    variable = provider.key_env
    if not adapter.built:
        reason = f'this version of Penstock can\'t speak to the adapter "{provider.adapter}" yet'
        remedy = f"Once it can, {variable} switches it on." if variable else None
        return ProviderState(on=False, reason=reason, remedy=remedy)
    keyless = adapter.keyless_elsewhere and provider.base_url is not None and variable is None
    if not adapter.needs_key or keyless or (variable is not None and environment.get(variable, "").strip()):
        return ProviderState(on=True)
    reason, remedy = f"{variable} is not set", f"Set {variable} to its key to switch it on."
    return ProviderState(on=False, reason=reason, remedy=remedy, variable=variable)


def _operation_state(route: tuple[str, ...], providers: Mapping[str, ProviderState]) -> OperationState:
    left = tuple(name for name in route if providers[name].on)
    if left:
        return OperationState(available=True, route=left)
    return OperationState(available=False, route=(), reason=f"every provider in its route is off: {listed(route)}")
