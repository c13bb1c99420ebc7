"""How a model of the maker's own is spoken to: the table `[providers.NAME.onnx]`, for the adapter `onnx`."""

from typing import Literal

from pydantic import Field

from penstock.product.schema_parts import Part

Takes = Literal["rgb", "bgr", "y", "l"]
Gives = Literal["rgb", "bgr", "y", "ab"]
Range = Literal["0..1", "-1..1", "0..255", "0..100"]

CHANNELS = {"rgb": 3, "bgr": 3, "y": 1, "l": 1, "ab": 2}
"""How many channels each of `Takes` and `Gives` has."""
GIVES_FOR: dict[str, tuple[Gives, ...]] = {
    "rgb": ("rgb", "bgr", "ab"),
    "bgr": ("rgb", "bgr", "ab"),
    "y": ("y", "rgb", "bgr"),
    "l": ("ab",),
}
"""What a model can make of what it takes."""


class OnnxModel(Part):
    """An ONNX model: what it takes, what it gives, and how a picture is brought to it."""

    file: str = Field(
        min_length=1,
        max_length=1_000,
        description="the model; a relative path starts at the folder of this file",
        examples=["models/restore.onnx"],
    )
    layout: Literal["nchw", "nhwc"] = Field(default="nchw", description="whether channels come before rows or last")
    takes: Takes = Field(
        default="rgb", description="colours in; `y` is brightness (BT.601), `l` the lightness of Lab; one channel each"
    )
    gives: Gives | None = Field(
        default=None,
        description="colours out; absent: the same. `y` keeps the picture's own colours, `ab` (of Lab) its lightness",
    )
    range: Range = Field(default="0..1", description="values in, from darkest to brightest")
    range_out: Range | None = Field(default=None, description="values out; absent: as in; not for `ab`")
    ab_unit: float = Field(
        default=1.0, gt=0, le=1_000, description="what 1 means in an `ab` that comes out: often 1, 110 or 128"
    )
    residual: bool = Field(default=False, description="what comes out is to be added to what went in")
    scale: int = Field(default=1, ge=1, le=8, description="how many times larger it makes a picture")
    size: int | None = Field(default=None, ge=8, le=8_192, description="pixels of the only (square) side that it takes")
    multiple_of: int = Field(default=1, ge=1, le=512, description="sides that it takes are multiples of this; padded")
    tile: int | None = Field(
        default=None, ge=16, le=8_192, description="pixels of the side of tiles; absent: it gets the whole picture"
    )
    overlap: int = Field(
        default=0, ge=0, le=1_024, description="pixels that neighbouring tiles share and are blended in"
    )
    longest: int | None = Field(
        default=None,
        ge=16,
        le=16_384,
        description="without tiles: a picture with a longer side is shrunk to this for it",
    )
    keep_detail: bool = Field(
        default=True,
        description="where a picture was shrunk for it: put what it changed onto the full-size picture, "
        "instead of enlarging what it made",
    )
    memory_mb: int = Field(
        default=3_072, ge=256, le=262_144, description="megabytes (of 1,048,576 bytes) that one run may take"
    )
    threads: int = Field(default=2, ge=1, le=64, description="processors that one run uses")

    @property
    def made(self) -> Gives:
        """The colours out."""
        if self.gives is not None:
            return self.gives
        return "ab" if self.takes == "l" else self.takes
