"""Finish a video: bad answers are told apart, good ones are dressed for the plan, hostile ones end in a child."""

from itertools import repeat
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from penstock.imaging import video
from penstock.kit.children import Children
from penstock.media.errors import BadResultError
from penstock.media.finish import Made
from penstock.media.finish_video import VideoDress, finish_video
from tests.support.videos import ball, encoded, mp4


def run(folder: Path, content: bytes, **dress: Any) -> dict[str, Made]:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    after = folder / "after"
    after.write_bytes(content)
    made = finish_video(after, out, VideoDress(**dress))
    assert [file.name for file in made] == ["full", "poster", "thumb"]
    assert all(file.bytes == file.path.stat().st_size for file in made)
    return {file.name: file for file in made}


def fault(folder: Path, content: bytes, **dress: Any) -> str:
    with pytest.raises(BadResultError) as caught:
        run(folder, content, **dress)
    return caught.value.fault


def frames(path: Path) -> list[np.ndarray[Any, Any]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(int) for frame in container.decode(video=0)]


def test_the_files_of_a_video(tmp_path: Path) -> None:
    made = run(tmp_path, mp4(tmp_path), asked_s=1)
    full = made["full"]
    assert (full.media_type, full.width, full.height, full.duration_s) == ("video/mp4", 192, 128, 1.0)
    with Image.open(made["poster"].path) as poster:
        assert np.abs(np.asarray(poster, int) - frames(full.path)[0]).mean() < 4
    with Image.open(made["thumb"].path) as thumb:
        assert (thumb.size, made["thumb"].media_type) == ((192, 128), "image/webp")


def test_a_larger_video_is_scaled_down_to_the_plan(tmp_path: Path) -> None:
    made = run(tmp_path, mp4(tmp_path, ball(0.6, 960, 540)), resolution="480p")
    assert (made["full"].width, made["full"].height) == (852, 480)
    assert video.look(made["full"].path, 1.5).width == 852
    kept = run(tmp_path, mp4(tmp_path, ball(0.6, 960, 540)), resolution="original")
    assert kept["full"].width == 960


def test_a_free_plan_gets_the_name_on_every_frame_and_on_the_stills(tmp_path: Path) -> None:
    content = mp4(tmp_path, ball(0.6, 320, 240))
    plain = frames(run(tmp_path, content)["full"].path)
    made = run(tmp_path, content, watermark="Imagine")
    marked = frames(made["full"].path)
    assert len(marked) == len(plain)
    for before, after in zip(plain, marked, strict=True):
        assert 2 < np.abs(after - before).mean() < 30
    with Image.open(made["poster"].path) as poster:
        assert np.abs(np.asarray(poster, int) - marked[0]).mean() < 5


def test_what_some_browsers_would_not_play_is_encoded_anew(tmp_path: Path) -> None:
    made = run(tmp_path, encoded(ball(), "libvpx-vp9", "webm"))
    assert video.look(made["full"].path, 1.5).plays
    assert made["full"].media_type == "video/mp4"


def test_what_can_not_be_read_names_its_reason(tmp_path: Path) -> None:
    content = mp4(tmp_path)
    for bad in (content[:-400], b"PK\3\4" + content, b"<svg/>"):
        assert fault(tmp_path, bad) == "undecodable"
    with pytest.raises(BadResultError, match="breaks off"):
        run(tmp_path, content[:-400])


def test_a_still_is_no_video(tmp_path: Path) -> None:
    assert fault(tmp_path, mp4(tmp_path, repeat(next(ball()), 16))) == "still"


def test_little_movement_is_movement(tmp_path: Path) -> None:
    still, others = next(ball()), list(ball())
    run(tmp_path, mp4(tmp_path, iter([still] * 12 + [others[2]] * 4)))


def test_one_colour_all_over_is_no_video_but_fading_in_is(tmp_path: Path) -> None:
    black = np.zeros((128, 192, 3), np.uint8)
    assert fault(tmp_path, mp4(tmp_path, iter([black] * 14 + [next(ball())] * 2))) == "blank"
    run(tmp_path, mp4(tmp_path, iter([black, *ball()])))


def test_a_video_of_another_length_than_asked_is_refused(tmp_path: Path) -> None:
    content = mp4(tmp_path, ball(3))
    assert fault(tmp_path, content, asked_s=5) == "wrong_duration"
    assert fault(tmp_path, content, asked_s=1) == "wrong_duration"
    assert run(tmp_path, content, asked_s=3.8)["full"].duration_s == 3.0
    assert run(tmp_path, content)["full"].duration_s == 3.0
    assert fault(tmp_path, mp4(tmp_path, ball(0.25))) == "wrong_duration"


def test_a_tiny_video_is_refused(tmp_path: Path) -> None:
    assert fault(tmp_path, mp4(tmp_path, ball(1, 160, 96))) == "wrong_size"


async def test_a_hundred_thousand_frames_are_refused_in_a_child(tmp_path: Path) -> None:
    after = tmp_path / "bomb.mp4"
    _bomb(after, 100_000)
    assert after.stat().st_size < video.MAX_BYTES
    children = Children(1, memory_bytes=1 << 30, preload=("penstock.media.finish_video",))
    try:
        with pytest.raises(BadResultError, match="more than 1,800 frames"):
            await children.call(finish_video, after, tmp_path, VideoDress(), timeout_s=60)
    finally:
        await children.close()


def _bomb(path: Path, count: int) -> None:
    """Write the same small frame again and again."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", rate=10_000)
        stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
        (packet, *_) = [*stream.encode(av.VideoFrame.from_ndarray(np.zeros((128, 128, 3), np.uint8))), *stream.encode()]
        content, time_base = bytes(packet), packet.time_base
        for number in range(count):
            again = av.Packet(content)
            again.stream, again.time_base, again.is_keyframe = stream, time_base, True
            again.pts = again.dts = number
            target.mux(again)
