"""Videos for the tests: drawn, encoded here, and damaged on purpose."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream

from penstock.imaging.picture import Picture
from penstock.imaging.video import write

RATE = 16


def ball(seconds: float = 1.0, width: int = 192, height: int = 128, rate: int = RATE) -> Iterator[Picture]:
    """Yield the frames of a ball that rolls over a field."""
    down, across = np.mgrid[0:height, 0:width]
    field = np.stack([down * 200 / height, across * 200 / width, np.full_like(down, 90)], axis=2)
    count = round(seconds * rate)
    for number in range(count):
        frame = field.astype(np.uint8)
        centre = 20 + number * (width - 40) / count
        frame[np.hypot(down - height / 2, across - centre) < 16] = (240, 240, 200)
        yield frame


def mp4(folder: Path, frames: Iterator[Picture] | None = None, rate: int = RATE) -> bytes:
    """Return a video as a vendor would deliver it."""
    path = folder / "drawn.mp4"
    write(ball(rate=rate) if frames is None else frames, path, rate)
    return path.read_bytes()


def encoded(frames: Iterator[Picture], codec: str, container: str, rate: int = RATE, **metadata: str) -> bytes:
    """Return a video in any codec and container, with metadata, as some models write it."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as target:
        target.metadata.update(metadata)
        stream: VideoStream | None = None
        for picture in frames:
            if stream is None:
                stream = cast(VideoStream, target.add_stream(codec, rate=rate))
                stream.height, stream.width, stream.pix_fmt = *picture.shape[:2], "yuv420p"
                stream.codec_context.options = {"deadline": "realtime", "cpu-used": "8"} if "vp" in codec else {}
            target.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        assert stream is not None
        target.mux(stream.encode())
    return out.getvalue()
