"""What adapters work with."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.kit.children import Children
from penstock.kit.clock import Clock


@dataclass(frozen=True)
class Surroundings:
    """Children for pictures, the clock, the environment that holds the keys, and where relative paths start."""

    children: Children
    clock: Clock
    environment: Mapping[str, str]
    folder: Path = Path()
