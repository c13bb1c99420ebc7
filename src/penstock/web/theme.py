"""The product's colours as CSS: served as `/theme.css`, so that another product is another look without a build."""

from penstock.product.colour import DARK_PAGE, LIGHT_PAGE, contrast, readable
from penstock.product.schema import Brand

_INKS = ("#ffffff", "#1c1410")  # what is written on the accent: whichever can be read better


def theme_css(brand: Brand) -> str:
    """Return the style sheet of a brand; colours that can't be read on the page are darkened or lightened."""
    light = readable(brand.accent, LIGHT_PAGE)
    dark = readable(brand.accent_dark, DARK_PAGE)
    return f":root{{{_colours(light)}}}\n@media (prefers-color-scheme:dark){{:root{{{_colours(dark)}}}}}\n"


def ink_on(colour: str) -> str:
    """Return the colour in which to write on `colour`."""
    return max(_INKS, key=lambda ink: contrast(ink, colour))


def _colours(accent: str) -> str:
    return f"--accent:{accent};--accent-ink:{ink_on(accent)}"
