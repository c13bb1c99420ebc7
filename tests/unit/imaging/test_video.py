"""Videos are looked at to the last frame, and strangers' files get no further than that."""

import zipfile
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import av
import numpy as np
import pytest

from penstock.imaging import video
from penstock.imaging.picture import Picture
from penstock.imaging.video import BadVideo, Look
from tests.support.videos import ball, encoded, mp4

BLANK = 1.5


def looked(folder: Path, content: bytes) -> Look:
    path = folder / "stranger"
    path.write_bytes(content)
    return video.look(path, BLANK)


def refused(folder: Path, content: bytes) -> str:
    with pytest.raises(BadVideo) as caught:
        looked(folder, content)
    return str(caught.value)


def test_what_is_written_is_what_was_drawn(tmp_path: Path) -> None:
    frames = list(ball())
    seen = looked(tmp_path, mp4(tmp_path, iter(frames)))
    assert (seen.width, seen.height, seen.seconds, len(seen.small), seen.plays) == (192, 128, 1.0, 16, True)
    # In colour, too: brightness by BT.709, and said to be that.
    assert np.abs(seen.still.astype(int) - frames[0]).mean() < 3


def test_players_can_begin_before_they_have_everything(tmp_path: Path) -> None:
    content = mp4(tmp_path)
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_webm_can_be_looked_at_and_is_converted_to_what_plays_everywhere(tmp_path: Path) -> None:
    source, target = tmp_path / "a.webm", tmp_path / "b.mp4"
    source.write_bytes(encoded(ball(), "libvpx-vp9", "webm"))
    assert not video.look(source, BLANK).plays
    video.convert(source, target, 96, 64)
    seen = video.look(target, BLANK)
    assert (seen.width, seen.height, len(seen.small), seen.plays) == (96, 64, 16, True)
    assert seen.seconds == pytest.approx(1.0, abs=0.07)


def test_a_copy_has_the_same_frames_and_none_of_the_words(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    source.write_bytes(encoded(ball(), "libx264", "mp4", title="the secret prompt", comment="{workflow}"))
    assert b"secret prompt" in source.read_bytes()
    video.copy(source, target)
    assert b"secret" not in target.read_bytes()
    assert b"workflow" not in target.read_bytes()
    assert [a.tolist() for a in video.look(target, BLANK).small] == [
        a.tolist() for a in video.look(source, BLANK).small
    ]


def test_the_sound_stays(tmp_path: Path) -> None:
    source, copied, converted = tmp_path / "a.mp4", tmp_path / "b.mp4", tmp_path / "c.mp4"
    _with_sound(source)
    video.copy(source, copied)
    video.convert(source, converted, 96, 64)
    for path in (copied, converted):
        with av.open(str(path)) as container:
            assert [each.codec_context.name for each in container.streams.audio] == ["aac"]
            assert sum(1 for _ in container.decode(audio=0)) > 10


def _with_sound(path: Path) -> None:
    with av.open(str(path), "w") as target:
        picture, sound = target.add_stream("libx264", rate=16), target.add_stream("aac", rate=48_000)
        picture.width, picture.height, picture.pix_fmt = 192, 128, "yuv420p"
        for frame in ball():
            target.mux(picture.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        for number in range(47):
            tone = np.sin(np.arange(1_024) / 9).astype(np.float32)[None]
            piece = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            piece.sample_rate, piece.pts = 48_000, number * 1_024
            target.mux(sound.encode(piece))
        target.mux(picture.encode())
        target.mux(sound.encode())


def test_the_still_is_the_first_frame_with_something_on_it(tmp_path: Path) -> None:
    black: Iterator[Picture] = repeat(np.zeros((128, 192, 3), np.uint8), 4)
    seen = looked(tmp_path, mp4(tmp_path, chain(black, ball())))
    assert seen.still.std() > 20


# ---- strangers' files ---------------------------------------------------------------------------------------------


def test_what_is_cut_off_is_refused(tmp_path: Path) -> None:
    content = mp4(tmp_path)
    assert refused(tmp_path, content[: len(content) * 2 // 3]) == "it breaks off"
    assert "0 videos" in refused(tmp_path, content[:200])
    assert "it is no MP4 or WebM" in refused(tmp_path, b"")


def test_another_type_is_refused_by_its_content(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("video.mp4", b"x" * 5_000)
    for content in (
        archive.read_bytes(),
        b"GIF89a",
        b"<html>",
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\n",
    ):
        assert "it is no MP4 or WebM" in refused(tmp_path, content)
    assert "can't be decoded" in refused(tmp_path, b"\0\0\0\x18ftypmp42" + bytes(5_000))


def test_a_bomb_of_frames_is_not_decoded_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MAX_FRAMES", 20)
    still = np.zeros((16, 16, 3), np.uint8)
    assert refused(tmp_path, mp4(tmp_path, repeat(still, 2_000), 1_000)) == "it has more than 20 frames"


def test_what_runs_too_long_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path, mp4(tmp_path, ball(40, rate=1), rate=1)) == "it is longer than 30 s"


def test_large_frames_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MAX_FRAME_PIXELS", 192 * 128 - 1)
    assert "have more than" in refused(tmp_path, mp4(tmp_path))


def test_files_over_the_limit_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MAX_BYTES", 100)
    assert refused(tmp_path, mp4(tmp_path)) == "it has more than 100 bytes"


def test_a_codec_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    known = mp4(tmp_path)
    assert known.count(b"avc1") >= 1
    assert "codec" in refused(tmp_path, known.replace(b"avc1", b"zzzz"))


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as target:
        sound = target.add_stream("aac", rate=48_000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1_024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 48_000
        target.mux(sound.encode(silence))
        target.mux(sound.encode())
    assert "0 videos" in refused(tmp_path, (tmp_path / "a.mp4").read_bytes())


def test_nothing_can_be_written_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(BadVideo, match="no frames"):
        video.write(iter(()), tmp_path / "a.mp4", 30)
