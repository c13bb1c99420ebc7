"""What `penstock --product FILE` names, for commands that take no product file by themselves."""

from contextvars import ContextVar
from pathlib import Path

NAMED_PRODUCT: ContextVar[Path | None] = ContextVar("NAMED_PRODUCT", default=None)
