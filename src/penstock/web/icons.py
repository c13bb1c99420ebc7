"""The product's icons, drawn from its brand: the first letter of its title on its accent.

The SVG is for browsers, the PNGs are for home screens. A maskable icon fills the square, since the system cuts it to
its own shape; what must be seen stays within the middle 80 % (W3C, Web Application Manifest, "Icon masks").
"""

import io
from html import escape

from PIL import Image, ImageDraw, ImageFont

from penstock.web.theme import ink_on

SIZES = (192, 512)  # pixels
OVERSAMPLED = 4  # drawn this much larger and scaled down, for smooth edges
CORNER = 0.22  # radius of the corners, share of the size
LETTER, LETTER_MASKABLE = 0.56, 0.44  # height of the letter's font, share of the size
FAVICON_SIZES = (16, 32, 48)


def letter_of(title: str) -> str:
    """Return the letter that stands for a product."""
    return next((character.upper() for character in title if character.isalnum()), "•")


def icon_svg(title: str, accent: str) -> str:
    """Return the icon as SVG."""
    letter = escape(letter_of(title))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">'
        f'<rect width="100" height="100" rx="{CORNER * 100:g}" fill="{accent}"/>'
        f'<text x="50" y="50" dy="0.36em" text-anchor="middle" font-family="Georgia,serif" font-weight="600" '
        f'font-size="{LETTER * 100:g}" fill="{ink_on(accent)}">{letter}</text></svg>'
    )


def icon_png(title: str, accent: str, size: int, *, maskable: bool = False) -> bytes:
    """Return the icon as PNG, `size` pixels square."""
    written = io.BytesIO()
    _drawn(title, accent, size, maskable=maskable).save(written, "PNG", optimize=True)
    return written.getvalue()


def favicon(title: str, accent: str) -> bytes:
    """Return the icon as ICO, for what asks for `/favicon.ico`."""
    written = io.BytesIO()
    _drawn(title, accent, max(FAVICON_SIZES), maskable=False).save(
        written, "ICO", sizes=[(size, size) for size in FAVICON_SIZES]
    )
    return written.getvalue()


def _drawn(title: str, accent: str, size: int, *, maskable: bool) -> Image.Image:
    large = size * OVERSAMPLED
    image = Image.new("RGBA", (large, large), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((0, 0, large, large), 0 if maskable else CORNER * large, fill=accent)
    font = ImageFont.load_default(large * (LETTER_MASKABLE if maskable else LETTER))
    draw.text((large / 2, large / 2), letter_of(title), fill=ink_on(accent), font=font, anchor="mm")
    return image.resize((size, size), Image.Resampling.LANCZOS)
