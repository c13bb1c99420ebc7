"""What adapters work with."""

from collections.abc import Mapping
from dataclasses import dataclass

from penstock.kit.children import Children
from penstock.kit.clock import Clock


@dataclass(frozen=True)
class Surroundings:
    """Children for pictures, the clock, and the environment that holds the keys of providers."""

    children: Children
    clock: Clock
    environment: Mapping[str, str]
