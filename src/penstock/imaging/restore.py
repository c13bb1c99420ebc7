"""Restores an old photograph: damage filled, grain taken out, faded tone and colour cast brought back.

    at most 12 megapixels -> find and fill damage -> grain -> tone -> neutral again where there was no colour

Each stage measures first and does nothing where there is nothing to mend: a sound picture comes back nearly as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from penstock.imaging.grain import VISIBLE_SIGMA, grain_sigma, remove_grain
from penstock.imaging.perceptron import Detector, shipped_detector
from penstock.imaging.picture import (
    MAX_PIXELS,
    BadPicture,
    Mask,
    Picture,
    at_most,
    check_picture,
    grey,
    scaled,
    short_side,
)
from penstock.imaging.scratches import NEXT_TO_NO_DAMAGE, Damage, fill_damage, find_damage
from penstock.imaging.tone import Fading, freshen_colour, looks_sepia, measure_fading, revive_tone, without_colour

Progress = Callable[[str, float], None]
"""Takes the stage and how much of everything is done, 0 to 1."""
Switch = Literal["auto", "on", "off"]

TONE_AMOUNT: Final = 1.0
GRAIN_SHORT_SIDE_PX: Final = 480  # grain is judged at the size that fading was fitted at


@dataclass(frozen=True)
class RestoreSettings:
    """What to do.

    Args:
        scratches: `auto` fills damage only in pictures with enough of it, `on` in every picture, `off` in none.
        grain: the same for grain.
        tone: how far faded tone is brought back, 0 (not at all) to 1 (all that the evidence allows).
        sepia: whether the print has no colours of its own and comes back neutral; `auto` looks.
    """

    scratches: Switch = "auto"
    grain: Switch = "auto"
    tone: float = TONE_AMOUNT
    sepia: Switch = "auto"


@dataclass(frozen=True)
class Report:
    """What was found: share of damaged surface (0..1), grain in 8-bit levels, fading in log contrast, no colour."""

    damage: float
    grain: float
    fading: float
    sepia: bool


@dataclass(frozen=True)
class Restored:
    """The restored picture, and what was found in the old one."""

    picture: Picture
    report: Report


def restore(
    picture: Picture,
    settings: RestoreSettings | None = None,
    progress: Progress | None = None,
    detector: Detector | None = None,
) -> Restored:
    """Restore a picture of any size; one above `MAX_PIXELS` comes back at that size.

    Args:
        detector: another one than the package's, for judging detectors by pictures that they never saw.

    Errors: BadPicture.
    """
    check_picture(picture)
    settings = settings or RestoreSettings()
    if not 0 <= settings.tone <= 1:
        raise BadPicture(f"tone is from 0 to 1, not {settings.tone:g}")
    tell = progress or (lambda _stage, _share: None)
    tell("looking for damage", 0.0)
    whole = at_most(picture, MAX_PIXELS)
    damage = _damage(whole, settings.scratches, detector)
    tell("filling scratches", 0.4)
    filled = fill_damage(whole, damage.mask)
    tell("taking out grain", 0.6)
    grain = grain_sigma(grey(scaled(filled, min(1.0, GRAIN_SHORT_SIDE_PX / short_side(filled)))))
    grainy = max(grain, grain_sigma(grey(filled))) > VISIBLE_SIGMA
    smooth = remove_grain(filled) if _wanted(settings.grain, found=grainy) else filled
    tell("bringing tone back", 0.85)
    fading = measure_fading(smooth, ~damage.mask, grain, damage.estimate)
    toned, sepia = _tone(smooth, ~damage.mask, fading, settings)
    tell("done", 1.0)
    return Restored(toned, Report(float(damage.mask.mean()), grain, fading.evidence, sepia))


def _wanted(switch: Switch, *, found: bool) -> bool:
    return switch == "on" or (switch == "auto" and found)


def _damage(picture: Picture, switch: Switch, detector: Detector | None) -> Damage:
    """What is to be filled. The estimate is kept even where too little was found to fill it: tone asks for it."""
    nothing = np.zeros(picture.shape[:2], np.bool_)
    if switch == "off":
        return Damage(nothing, 0.0)
    damage = find_damage(picture, detector or shipped_detector())
    filled = _wanted(switch, found=damage.estimate >= NEXT_TO_NO_DAMAGE)
    return damage if filled else Damage(nothing, damage.estimate)


def _tone(picture: Picture, sound: Mask, fading: Fading, settings: RestoreSettings) -> tuple[Picture, bool]:
    """The picture with its tone back, and whether it has no colours of its own."""
    sepia = _wanted(settings.sepia, found=looks_sepia(picture, sound))
    if settings.tone == 0:
        return picture, sepia
    toned = revive_tone(picture, fading, settings.tone)
    return (without_colour(toned) if sepia else freshen_colour(toned, settings.tone, fading.evidence)), sepia
