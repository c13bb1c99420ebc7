"""Settings of a model of one's own that contradict each other: part of the checks of the work (`checks_work.py`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from penstock.product.mistakes import Complaint, listed
from penstock.product.positions import KeyPath
from penstock.product.schema_onnx import GIVES_FOR

MODEL_KEY = "onnx"


def onnx_complaints(path: KeyPath, provider: Mapping[str, Any], *, wanted: bool) -> Iterator[Complaint]:
    """Yield what does not fit in a provider's table `onnx`.

    Args:
        wanted: whether the provider's adapter is the one that runs such models.
    """
    if wanted != (MODEL_KEY in provider):
        reason, advice = (
            ('is missing: the adapter "onnx" must be told which model to run', 'For example: file = "models/mine.onnx"')
            if wanted
            else ('is for the adapter "onnx"', "Leave it out.")
        )
        yield Complaint((*path, MODEL_KEY), reason, advice)
    model = provider.get(MODEL_KEY)
    if wanted and isinstance(model, dict):
        yield from _colours((*path, MODEL_KEY), model)
        yield from _sizes((*path, MODEL_KEY), model)


def _colours(path: KeyPath, model: Mapping[str, Any]) -> Iterator[Complaint]:
    takes, gives = model.get("takes", "rgb"), model.get("gives")
    able = GIVES_FOR.get(takes) if isinstance(takes, str) else None
    if able and isinstance(gives, str) and gives not in able:
        yield Complaint(
            (*path, "gives"), f'can\'t be "{gives}" where `takes` is "{takes}"', f"Write {listed(able, 'or')}."
        )
    colours = gives == "ab" or (gives is None and takes == "l")
    if colours and model.get("residual") is True:
        yield Complaint((*path, "residual"), "colours can't be added to a picture that has none", "Leave it out.")
    elif model.get("residual") is True and gives is not None and gives != takes:
        yield Complaint((*path, "residual"), "what comes out must be of the kind that goes in", "Leave `gives` out.")
    if colours and "range_out" in model:
        yield Complaint((*path, "range_out"), "is not for `ab`", "Write ab_unit instead.")


def _sizes(path: KeyPath, model: Mapping[str, Any]) -> Iterator[Complaint]:
    size, tile, scale = (model.get(key) for key in ("size", "tile", "scale"))
    overlap, multiple = model.get("overlap", 0), model.get("multiple_of", 1)
    if isinstance(size, int) and isinstance(tile, int) and size != tile:
        yield Complaint((*path, "tile"), f"is {tile}, and the model takes {size} pixels only", f"Write tile = {size}.")
    elif isinstance(tile, int) and isinstance(multiple, int) and multiple > 0 and tile % multiple:
        best = max(1, round(tile / multiple)) * multiple
        yield Complaint((*path, "tile"), f"is {tile}, which is no multiple of {multiple}", f"Write tile = {best}.")
    if isinstance(overlap, int) and overlap > 0 and tile is None:
        yield Complaint((*path, "overlap"), "is for tiles, and there are none", "Write `tile`, too, or leave it out.")
    elif isinstance(overlap, int) and isinstance(tile, int) and overlap > tile // 2:
        yield Complaint((*path, "overlap"), f"is {overlap}, more than half a tile", f"Write {tile // 4}.")
    if "longest" in model and (tile is not None or size is not None):
        yield Complaint((*path, "longest"), "says nothing beside `tile` or `size`", "Leave it out.")
    if isinstance(scale, int) and scale > 1 and tile is None and (size is not None or "longest" in model):
        reason = "a picture that is shrunk first can't be enlarged"
        yield Complaint((*path, "scale"), reason, "Write `tile`, too, so that the model sees it piece by piece.")
