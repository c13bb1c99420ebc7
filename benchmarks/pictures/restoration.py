"""Restoration against the clean original: `restore.STRENGTH.TONE.psnr_gain` (dB) and `.ssim_gain`, and its time.

Every bundled photograph is aged with seeds that training never uses, and judged by the detector that never saw that
photograph. A gain is restored minus damaged; the figure is the median over photographs and seeds, `.least` the
worst one. The peer is what OpenCV offers without us: non-local means and a stretch of the tone, on the same pictures;
the ratio is our gain over its gain (with its gain held to at least a tenth of a dB, or a hundredth of SSIM).
Damaged, restored and clean lie side by side in `OUT/restore/`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import cv2
import numpy as np
from training.ageing import STRENGTHS, TONES, Aged, Strength, Tone, age
from training.measures import psnr, ssim
from training.photographs import IN_COLOUR, NAMES, photograph
from training.scratches import unseen_detector

from benchmarks.figure import Figure
from benchmarks.pictures.sheet import side_by_side
from penstock.imaging.picture import Picture
from penstock.imaging.restore import restore

GROUP: Final = "restore"

FIRST_SEED: Final = 1_000_000
"""Training uses seeds below ten thousand."""
SEEDS: Final = 2
LEAST_PEER_GAIN: Final = {"psnr": 0.1, "ssim": 0.01}
THREADS: Final = 2
LARGE: Final = (3000, 4000)
"""Rows and columns of the 12-megapixel picture that is timed."""
PEER_STRENGTH: Final = 10.0
"""OpenCV's own default is 3, its tutorials say 10."""


@dataclass(frozen=True)
class Gain:
    """What one picture gained, ours and the peer's, in dB and SSIM."""

    psnr: float
    ssim: float
    peer_psnr: float
    peer_ssim: float


def figures(out: Path) -> list[Figure]:
    """Measures every strength and tone, then the time of a large picture."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(THREADS)
    try:
        measured = []
        for strength in STRENGTHS:
            for tone in TONES:
                gains = [_gain(*case, strength, tone, out / "restore") for case in _cases(tone)]
                measured += _summary(f"restore.{strength}.{tone}", gains)
        return [*measured, _time_of_large_picture()]
    finally:
        cv2.setNumThreads(threads)


def _cases(tone: Tone) -> Iterator[tuple[str, int]]:
    for name in IN_COLOUR if tone == "color" else NAMES:
        for turn in range(SEEDS):
            yield name, turn


def seed_of(name: str, turn: int, strength: Strength, tone: Tone) -> int:
    """A seed that no two pictures share, and training never uses."""
    return FIRST_SEED + ((NAMES.index(name) * SEEDS + turn) * 10 + STRENGTHS.index(strength)) * 10 + TONES.index(tone)


def _gain(name: str, turn: int, strength: Strength, tone: Tone, out: Path) -> Gain:
    aged = age(photograph(name), seed_of(name, turn, strength, tone), strength, tone)
    result = restore(aged.picture, detector=unseen_detector(name)).picture
    peer = plain_opencv(aged.picture)
    if turn == 0:
        side_by_side([aged.picture, result, aged.clean], out / f"{strength}-{tone}-{name}.png")
    return Gain(*_over_damaged(result, aged), *_over_damaged(peer, aged))


def _over_damaged(result: Picture, aged: Aged) -> tuple[float, float]:
    better_psnr = psnr(result, aged.clean) - psnr(aged.picture, aged.clean)
    return better_psnr, ssim(result, aged.clean) - ssim(aged.picture, aged.clean)


def plain_opencv(picture: Picture) -> Picture:
    """What a tutorial does: coloured non-local means, then each channel stretched from its least to its most."""
    smooth = cv2.fastNlMeansDenoisingColored(picture, None, PEER_STRENGTH, PEER_STRENGTH, 7, 21)
    channels = [cv2.normalize(channel, channel.copy(), 0, 255, cv2.NORM_MINMAX) for channel in cv2.split(smooth)]
    return np.asarray(cv2.merge(channels), np.uint8)


def _summary(name: str, gains: list[Gain]) -> list[Figure]:
    summary = []
    for measure, unit in (("psnr", "dB"), ("ssim", "")):
        ours, theirs = [[getattr(gain, key) for gain in gains] for key in (measure, f"peer_{measure}")]
        ratio = median(ours) / max(median(theirs), LEAST_PEER_GAIN[measure])
        summary.append(Figure(f"{name}.{measure}_gain", median(ours), unit or "SSIM", {"opencv": ratio}))
        summary.append(Figure(f"{name}.{measure}_gain.least", min(ours), unit or "SSIM", {}))
    return summary


def _time_of_large_picture() -> Figure:
    """Seconds for an aged photograph of twelve megapixels, and how much faster than OpenCV's plain filter we are."""
    aged = age(photograph("china"), FIRST_SEED - 1, "medium")
    large = np.asarray(cv2.resize(aged.picture, LARGE[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    started = time.perf_counter()
    restore(large)
    ours = time.perf_counter() - started
    started = time.perf_counter()
    plain_opencv(large)
    return Figure("restore.12mp", ours, "s", {"opencv": ours / (time.perf_counter() - started)})
