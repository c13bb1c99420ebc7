"""One measured figure, as every benchmark returns it and `benchmarks.run` prints and keeps it."""

from dataclasses import dataclass


@dataclass
class Figure:
    """A value with its unit, and for each peer our value divided by the peer's, both from the same run."""

    name: str
    value: float
    unit: str
    ratios: dict[str, float]
