"""Labelled points at which a fault test may kill the process.

In production nothing is armed and a checkpoint costs one comparison. A fault test arms a hook in a forked child;
the hook kills that child at the n-th point, and the parent then proves that nothing was lost (see tests/faults).
"""

from collections.abc import Callable

_hook: Callable[[str], None] | None = None


def arm(hook: Callable[[str], None] | None) -> None:
    """Call `hook` with the label of every checkpoint passed from now on; None disarms."""
    global _hook  # noqa: PLW0603 - one process, one hook, set before anything runs
    _hook = hook


def checkpoint(label: str) -> None:
    """Pass the point `label`, such as `submit.held`."""
    if _hook is not None:
        _hook(label)
