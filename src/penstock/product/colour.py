"""Whether a colour can be read on the page, after WCAG 2.2 (success criterion 1.4.3)."""

import colorsys

MIN_CONTRAST = 4.5  # for text of normal size
LIGHT_PAGE = "#faf6f0"
DARK_PAGE = "#1a1613"
_STEPS = 200  # of lightness tried for a readable neighbour


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours written `#rrggbb`, from 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(colour: str, page: str) -> str:
    """Return the colour nearest in lightness to `colour`, of the same hue, that can be read on `page`."""
    if contrast(colour, page) >= MIN_CONTRAST:
        return colour
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    away = 0.0 if _luminance(page) > 0.18 else 1.0  # darker on a light page, lighter on a dark one
    for step in range(1, _STEPS + 1):
        candidate = _written(hue, lightness + (away - lightness) * step / _STEPS, saturation)
        if contrast(candidate, page) >= MIN_CONTRAST:
            return candidate
    return "#000000" if away == 0 else "#ffffff"


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _luminance(colour: str) -> float:
    """Return the relative luminance as WCAG defines it, 0 to 1."""
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in _channels(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _written(hue: float, lightness: float, saturation: float) -> str:
    return "#" + "".join(f"{round(value * 255):02x}" for value in colorsys.hls_to_rgb(hue, lightness, saturation))
