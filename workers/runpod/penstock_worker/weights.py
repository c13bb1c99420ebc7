"""Where a model's weights lie: a folder, RunPod's cache of models, or Hugging Face.

RunPod keeps a cached model as `models--OWNER--NAME/snapshots/HASH`, and names the current hash in `refs/main`.
"""

from pathlib import Path

from penstock_worker.settings import BadSettingsError


def find_weights(model: str, cache: Path, *, offline: bool) -> str:
    """Return a folder with the weights, or the repository where they are to be had.

    Errors: BadSettingsError if they are nowhere here and nobody may be asked.
    """
    if Path(model).is_dir():
        return model
    cached = cache / f"models--{model.replace('/', '--')}"
    snapshot = _current(cached)
    if snapshot is not None:
        return str(snapshot)
    if offline or model.startswith(("/", ".")):
        raise BadSettingsError(
            f"there is no model {model}: neither a folder, nor {cached}/snapshots. "
            "Name it as the endpoint's cached model, put it on the network volume, or set HF_HUB_OFFLINE=0"
        )
    return model


def _current(cached: Path) -> Path | None:
    """Return the snapshot that a cache calls the current one, else the newest."""
    named = cached / "refs" / "main"
    if named.is_file():
        snapshot = cached / "snapshots" / named.read_text().strip()
        if snapshot.is_dir():
            return snapshot
    snapshots = [each for each in (cached / "snapshots").glob("*") if each.is_dir()]
    return max(snapshots, key=lambda each: each.stat().st_mtime, default=None)
