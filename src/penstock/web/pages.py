"""Everything that is served outside the HTTP interface: the app's files, its shell for every page, and its theme.

`Pages` is ASGI middleware in front of the interface: it answers every path that is not the interface's own. Without a
built app there is one page that says so, and the interface works all the same.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from penstock.product.colour import LIGHT_PAGE
from penstock.product.schema import Product
from penstock.web.built import APP_FOLDER, SHELL, Page, built_app
from penstock.web.icons import SIZES, favicon, icon_png, icon_svg
from penstock.web.theme import theme_css

INTERFACE = ("/api/", "/api", "/openapi.json", "/metrics")  # not pages
SHORT_NAME_CHARACTERS = 12  # what fits under an icon
ICON_CACHE = "public, max-age=86400"
_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)
_DESCRIPTION = re.compile(r'(<meta name="description" content=")[^"]*(")')

_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="stylesheet" href="/theme.css"><link rel="icon" href="/icon.svg"></head>
<body><h1>{title}</h1><p>{tagline}</p>
<p>The server is running, and its <a href="/api/v1/health">interface</a> works. The web app has not been built:
run <code>make web</code> in the repository, or install a release, and start the server again.</p></body></html>
"""


class Pages:
    """Answers what is no path of the interface from `site`, and passes the rest on."""

    def __init__(self, app: ASGIApp, site: "Site") -> None:
        self._app, self._site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a page, or pass the request on."""
        path = scope["path"] if scope["type"] == "http" else INTERFACE[0]
        if path.startswith(INTERFACE[0]) or path in INTERFACE:
            await self._app(scope, receive, send)
            return
        if scope["method"] not in {"GET", "HEAD"}:
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        await _send(await self._site.page(path), scope, send)


class Site:
    """The pages of a product.

    Args:
        product: gives the product that holds now; what is made of its brand is made anew when that changes.
        folder: where the built app lies.
    """

    def __init__(self, product: Callable[[], Product], folder: Path = APP_FOLDER) -> None:
        self._product = product
        self._files = built_app(folder)
        self._made: dict[str, Page] = {}
        self._made_for: Product | None = None

    async def page(self, path: str) -> Page:
        """Return the page at a path. Errors: HTTPException 404 for a file that is not there."""
        name = path.lstrip("/")
        if name != SHELL and (file := self._files.get(name)) is not None:
            return file
        product = self._product()
        if product is not self._made_for:
            self._made, self._made_for = {}, product
        make = _BRANDED.get(path)
        if make is None:
            if "." in name.rpartition("/")[2]:  # a file, not a page of the app: a shell in its place would confuse
                raise HTTPException(404)
            path, make = SHELL, self._shell
        if path not in self._made:
            self._made[path] = await asyncio.to_thread(make, product)
        return self._made[path]

    def _shell(self, product: Product) -> Page:
        brand = product.brand
        built = self._files.get(SHELL)
        if built is None:
            text = _NOT_BUILT.format(title=escape(brand.title), tagline=escape(brand.tagline))
            return Page(text.encode(), "text/html; charset=utf-8")
        text = _TITLE.sub(lambda _: f"<title>{escape(brand.title)}</title>", built.content.decode(), count=1)
        text = _DESCRIPTION.sub(lambda found: f"{found[1]}{escape(brand.tagline)}{found[2]}", text, count=1)
        return Page(text.encode(), "text/html; charset=utf-8")


def manifest(product: Product) -> dict[str, Any]:
    """Return the web app manifest: what an installed app is called and looks like."""
    brand = product.brand
    icons = [
        {"src": f"/icons/{size}.png", "sizes": f"{size}x{size}", "type": "image/png", "purpose": "any"}
        for size in SIZES
    ]
    icons += [
        {"src": f"/icons/maskable-{size}.png", "sizes": f"{size}x{size}", "type": "image/png", "purpose": "maskable"}
        for size in SIZES
    ]
    return {
        "id": "/",
        "name": brand.title,
        "short_name": brand.title[:SHORT_NAME_CHARACTERS].rstrip(),
        "description": brand.tagline,
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
        "background_color": LIGHT_PAGE,
        "theme_color": LIGHT_PAGE,
        "icons": [*icons, {"src": "/icon.svg", "sizes": "any", "type": "image/svg+xml"}],
    }


def _theme(product: Product) -> Page:
    return Page(theme_css(product.brand).encode(), "text/css; charset=utf-8")


def _manifest(product: Product) -> Page:
    return Page(json.dumps(manifest(product), ensure_ascii=False).encode(), "application/manifest+json")


def _icon(product: Product) -> Page:
    return Page(icon_svg(product.brand.title, product.brand.accent).encode(), "image/svg+xml")


def _favicon(product: Product) -> Page:
    return Page(favicon(product.brand.title, product.brand.accent), "image/x-icon", ICON_CACHE)


def _png(product: Product, *, size: int, maskable: bool) -> Page:
    drawn = icon_png(product.brand.title, product.brand.accent, size, maskable=maskable)
    return Page(drawn, "image/png", ICON_CACHE)


_BRANDED: Mapping[str, Callable[[Product], Page]] = {
    "/theme.css": _theme,
    "/manifest.webmanifest": _manifest,
    "/icon.svg": _icon,
    "/favicon.ico": _favicon,
    **{f"/icons/{size}.png": partial(_png, size=size, maskable=False) for size in SIZES},
    **{f"/icons/maskable-{size}.png": partial(_png, size=size, maskable=True) for size in SIZES},
}


async def _send(page: Page, scope: Scope, send: Send) -> None:
    asked = Headers(scope=scope)
    headers = {"etag": page.etag, "cache-control": page.cache, **page.extra}
    if page.may_be_gzipped:
        headers["vary"] = "Accept-Encoding"
    if _knows(asked.get("if-none-match", ""), page.etag):
        await _answer(send, 304, headers, b"")
        return
    wants_gzip = page.may_be_gzipped and "gzip" in asked.get("accept-encoding", "")
    gzipped = await asyncio.to_thread(lambda: page.gzipped) if wants_gzip else None
    body = page.content if gzipped is None else gzipped
    headers |= {"content-type": page.media_type, "content-length": str(len(body))}
    if gzipped is not None:
        headers["content-encoding"] = "gzip"
    await _answer(send, 200, headers, b"" if scope["method"] == "HEAD" else body)


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _knows(if_none_match: str, etag: str) -> bool:
    """Say whether the client has this page already (RFC 9110, section 13.1.2: weak comparison)."""
    known = (each.strip().removeprefix("W/") for each in if_none_match.split(","))
    return any(each in {etag, "*"} for each in known)
