"""What Penstock costs in time: a paid job's whole way over a direct call, beside LiteLLM's proxy.

Ours is `POST /jobs` (hold, idempotency key, queue, worker, provider, result, capture) until the job's live connection
says that it succeeded; theirs is a call through the proxy. Behind both is the same chat server, a stand-in that answers
at once: the worst case for whoever stands before it. With a real model, which takes seconds, the difference in
milliseconds is what counts. The proxy is installed into a temporary folder; where that fails its figures are missing,
and a line says so.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.engines import litellm_peer
from benchmarks.engines.contest import Measured, race
from benchmarks.figure import Figure

GROUP = "overhead"
CONCURRENT = (1, 50, 200)
POINTS = ("p50", "p99")


def figures(out: Path) -> list[Figure]:
    """Measure; `out` stays empty."""
    with TemporaryDirectory(prefix="penstock-litellm-") as folder:
        proxy = litellm_peer.install(Path(folder))
        if proxy is None:
            print(f"LiteLLM {litellm_peer.VERSION} can't be installed here: no figures of it.", file=sys.stderr)
        found = race(_engines(proxy))
    return [figure for concurrent in CONCURRENT for figure in _figures(concurrent, found)]


def _engines(proxy: Path | None) -> dict[str, list[str]]:
    levels = [str(concurrent) for concurrent in CONCURRENT]
    engine = ["benchmarks.engines.calls", "--concurrent", *levels, "--way"]
    engines = {"direct": [*engine, "direct"], "ours": [*engine, "ours"]}
    if proxy is not None:
        engines["litellm"] = [*engine, "litellm", "--proxy", str(proxy)]
    return engines


def _figures(concurrent: int, found: Mapping[str, Measured]) -> list[Figure]:
    shown = []
    for name in ("ours", "litellm"):
        if name not in found:
            continue
        prefix = f"overhead.{concurrent}" if name == "ours" else f"overhead.{concurrent}.{name}"
        peers = [peer for peer in found if peer != name] if name == "ours" else ["direct"]
        for point in POINTS:
            value = found[name][f"{concurrent}.{point}"]
            ratios = {peer: value / found[peer][f"{concurrent}.{point}"] for peer in peers}
            shown.append(Figure(f"{prefix}.{point}", value, "ms", ratios))
    return shown
