"""Videos: looked at from end to end, and written as MP4 with H.264, which every browser and phone plays.

Stands below `media` and `providers`; runs in child processes, since it decodes what strangers made. PyAV, which it
needs, is an extra: its wheels bundle x264 and x265, which are GPLv2 or later (docs/decisions/0011-video.md).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import cv2
import numpy as np

from penstock.imaging.picture import Picture, Plane, grey, scaled, short_side

try:
    import av
    from av.video.frame import VideoFrame
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
except ImportError:  # an extra
    AVAILABLE = False
else:
    AVAILABLE = True

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream

MAX_BYTES: Final = 64_000_000
MAX_SECONDS: Final = 30.0
MAX_FRAMES: Final = 1_800
MAX_FRAME_PIXELS: Final = 3_840 * 2_160
SMALL_SHORT_SIDE: Final = 48  # of the frames that are kept to be compared
QUALITY: Final = 20  # x264's constant rate factor: the difference is hard to see
EFFORT: Final = "veryfast"
KEY_FRAME_S: Final = 2  # between two places to which a player can jump

# Containers by how a file begins. The others that FFmpeg knows are never tried: some of them read other files.
_SIGNATURES: Final = ((4, b"ftyp", "mp4"), (0, b"\x1aE\xdf\xa3", "matroska"))
_PLAYED_AS_IT_IS: Final = ("h264", "yuv420p")
_SOUND_IN_MP4: Final = frozenset({"aac", "mp3"})


class BadVideo(ValueError):  # noqa: N818 - it is said aloud as it reads
    """This is no video that can be used; the text says why, for operators."""


@dataclass(frozen=True)
class Look:
    """A video that was decoded from the first frame to the last.

    Args:
        width, height: in pixels.
        seconds: from the first frame to the end of the last.
        small: every frame in grey, `SMALL_SHORT_SIDE` pixels on its short side.
        still: the first frame with something on it, to stand for the whole.
        plays: it is MP4 with H.264 as every browser and phone plays it.
    """

    width: int
    height: int
    seconds: float
    small: tuple[Plane, ...]
    still: Picture
    plays: bool


def look(path: Path, blank: float) -> Look:
    """Decode a whole video.

    Args:
        blank: standard deviation of brightness (levels of 255) under which there is nothing on a frame.

    Errors: BadVideo for what is damaged, cut off, over a limit, or no MP4 or WebM with a video in it.
    """
    with _opened(path) as (container, stream):
        small: list[Plane] = []
        still: Picture | None = None
        dull = True
        first = last = step = Fraction(0)
        for frame in _frames(container, stream):
            picture = _rgb(frame)
            small.append(grey(scaled(picture, min(1.0, SMALL_SHORT_SIDE / short_side(picture)))))
            if still is None or (dull and float(small[-1].std()) >= blank):
                still, dull = picture, float(small[-1].std()) < blank
            at = Fraction(frame.pts or 0) * Fraction(frame.time_base or 0)
            first = at if len(small) == 1 else first
            step, last = (at - last if at > last else step), max(at, last)
            if last - first > MAX_SECONDS:
                raise BadVideo(f"it is longer than {MAX_SECONDS:g} s")
        if still is None:
            raise BadVideo("it has no frames")
        rate = stream.average_rate or stream.guessed_rate
        step = step or (1 / Fraction(rate) if rate else Fraction(0))
        codec = (stream.codec_context.name, stream.codec_context.pix_fmt)
        plays = codec == _PLAYED_AS_IT_IS and "mp4" in container.format.name
        return Look(still.shape[1], still.shape[0], float(last - first + step), tuple(small), still, plays)


def write(frames: Iterable[Picture], path: Path, rate: int) -> None:
    """Write pictures of one, even, size as a video without sound.

    Args:
        rate: pictures a second.
    """
    with _mp4(path) as target:
        stream: VideoStream | None = None
        for number, picture in enumerate(frames):
            if stream is None:
                stream = _encoder(target, picture.shape[1], picture.shape[0], Fraction(1, rate), rate)
            _encode(target, stream, picture, number)
        _flush(target, stream)


def copy(source: Path, path: Path) -> None:
    """Copy picture and sound as they are into a new file, and nothing else: no title, comment or other metadata."""
    with _opened(source) as (container, stream), _mp4(path) as target:
        streams = [stream, *_sound(container)]
        to = {each.index: target.add_stream_from_template(cast(Any, each)) for each in streams}
        for out in to.values():
            out.metadata.clear()
        for packet in container.demux(cast(Any, streams)):
            if packet.dts is not None:
                packet.stream = to[packet.stream.index]
                target.mux(packet)


def convert(source: Path, path: Path, width: int, height: int, sheet: "Sheet | None" = None) -> None:
    """Encode a video anew, in another size and perhaps with something laid over every frame; the sound is kept.

    Args:
        width, height: of what is written, even numbers of pixels.
    """
    with _opened(source) as (container, stream), _mp4(path) as target:
        rate = round(stream.average_rate or stream.guessed_rate or 25)
        encoder = _encoder(target, width, height, Fraction(stream.time_base or Fraction(1, rate)), rate)
        sound = {each.index: target.add_stream_from_template(cast(Any, each)) for each in _sound(container)}
        for packet in container.demux(cast(Any, [stream, *_sound(container)])):
            if packet.stream.index in sound:
                if packet.dts is not None:
                    packet.stream = sound[packet.stream.index]
                    target.mux(packet)
                continue
            for frame in packet.decode():
                assert isinstance(frame, VideoFrame)
                picture = _fitted(_rgb(frame), width, height)
                _encode(target, encoder, picture if sheet is None else sheet.over(picture), frame.pts)
        _flush(target, encoder)


@dataclass(frozen=True)
class Sheet:
    """Something half transparent to be laid over pictures of one size: `picture * keep + add`, both (H, W, 1)."""

    keep: Any
    add: Any

    def over(self, picture: Picture) -> Picture:
        """Return the picture with the sheet over it."""
        return np.asarray(np.rint(picture * self.keep + self.add), np.uint8)


def even(length: float) -> int:
    """Return the even number of pixels nearest to a length: H.264 has colour for every second pixel only."""
    return max(2, 2 * round(length / 2))


@contextmanager
def _opened(path: Path) -> "Iterator[tuple[InputContainer, VideoStream]]":
    """Open the video of a file; whatever FFmpeg stumbles over inside the block is a BadVideo."""
    if path.stat().st_size > MAX_BYTES:
        raise BadVideo(f"it has more than {MAX_BYTES:,} bytes")
    try:
        with av.open(str(path), format=_container(path), options={"protocol_whitelist": "file"}) as container:
            if len(container.streams.video) != 1:
                raise BadVideo(f"it has {len(container.streams.video)} videos in it, and must have one")
            stream = container.streams.video[0]
            if cast(Any, stream.codec_context) is None:  # FFmpeg finds a video and knows nothing that decodes it
                raise BadVideo("its codec is unknown")
            _check_size(stream.codec_context.width, stream.codec_context.height)
            stream.codec_context.options = {"err_detect": "explode"}  # conceal nothing
            stream.thread_count = max(1, cv2.getNumThreads())
            yield container, stream
    except (av.FFmpegError, UnicodeDecodeError, ValueError) as error:
        raise error if isinstance(error, BadVideo) else BadVideo(f"it can't be decoded: {error}") from error


def _container(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(16)
    for at, signature, name in _SIGNATURES:
        if head[at:].startswith(signature):
            return name
    raise BadVideo(f"it is no MP4 or WebM: it begins with {head[:12]!r}")


def _frames(container: "InputContainer", stream: "VideoStream") -> "Iterator[VideoFrame]":
    """Yield every frame. Errors: BadVideo for one too many, for one of another size, and where frames are missing."""
    count = 0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise BadVideo("it breaks off")
        for frame in packet.decode():
            count += 1
            if frame.is_corrupt:
                raise BadVideo(f"frame {count} is damaged")
            if count > MAX_FRAMES:
                raise BadVideo(f"it has more than {MAX_FRAMES:,} frames")
            if (frame.width, frame.height) != (stream.codec_context.width, stream.codec_context.height):
                raise BadVideo("its size changes on the way")
            _check_size(frame.width, frame.height)
            yield frame
    if stream.frames and count < stream.frames - 1:
        raise BadVideo(f"it promises {stream.frames} frames and has {count}")


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise BadVideo(f"its frames of {width} x {height} have more than {MAX_FRAME_PIXELS:,} pixels")


def _sound(container: "InputContainer") -> list[Any]:
    """Return the sound, where an MP4 may hold it as it is."""
    return [each for each in container.streams.audio[:1] if each.codec_context.name in _SOUND_IN_MP4]


@contextmanager
def _mp4(path: Path) -> "Iterator[OutputContainer]":
    # The table of contents in front: players begin before they have everything.
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as target:
        yield target


def _encoder(target: "OutputContainer", width: int, height: int, time_base: Fraction, rate: int) -> "VideoStream":
    stream = target.add_stream("libx264", rate=rate)
    context = stream.codec_context
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    context.time_base = time_base
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    context.thread_count = max(1, cv2.getNumThreads())
    context.options = {"preset": EFFORT, "crf": str(QUALITY), "g": str(KEY_FRAME_S * rate)}
    return stream


def _encode(target: "OutputContainer", stream: "VideoStream", picture: Picture, pts: int | None) -> None:
    frame = VideoFrame.from_ndarray(picture, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
    frame.pts, frame.time_base = pts, stream.codec_context.time_base
    target.mux(stream.encode(frame))


def _flush(target: "OutputContainer", stream: "VideoStream | None") -> None:
    if stream is None:
        raise BadVideo("it has no frames")
    target.mux(stream.encode())


def _rgb(frame: "VideoFrame") -> Picture:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def _fitted(picture: Picture, width: int, height: int) -> Picture:
    if (picture.shape[1], picture.shape[0]) == (width, height):
        return picture
    how = cv2.INTER_AREA if width < picture.shape[1] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=how), np.uint8)
