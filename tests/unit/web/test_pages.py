"""The pages: the app's files, a shell for every page of it, the product's look; nothing in the interface's way."""

import gzip
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from PIL import Image
from starlette.types import Receive, Scope, Send

from penstock.product.colour import DARK_PAGE, LIGHT_PAGE, MIN_CONTRAST, contrast
from penstock.product.schema import Brand, Product
from penstock.web.built import APP_FOLDER, built_app
from penstock.web.icons import icon_png, icon_svg, letter_of
from penstock.web.pages import Pages, Site, manifest
from penstock.web.theme import ink_on, theme_css
from tests.support.flows import make_product

SCRIPT = "console.log('hello');\n" * 200
INDEX = """<!doctype html><html><head><title>Penstock</title>
<meta name="description" content="" /></head><body></body></html>"""


class Owner:
    """Holds a product that a test may change."""

    def __init__(self, **brand: Any) -> None:
        self.product: Product = make_product()
        self.change(**brand)

    def change(self, **brand: Any) -> None:
        shown = {"title": "Old & New", "tagline": 'Say "cheese"', **brand}
        self.product = make_product(brand=shown)


async def interface(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"the interface"})


def build(folder: Path) -> Path:
    """Write what Vite would have."""
    (folder / "assets").mkdir()
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "app-Ab12.js").write_text(SCRIPT)
    (folder / "assets" / "font-Cd34.woff2").write_bytes(b"\0" * 2_000)
    (folder / "sw.js").write_text("self.addEventListener('fetch', () => {});")
    (folder / "manifest.json").write_text("{}")
    (folder / "web-stamp.txt").write_text("what it was built from")
    return folder


@pytest.fixture
def owner() -> Owner:
    return Owner()


@pytest_asyncio.fixture
async def client(tmp_path: Path, owner: Owner) -> AsyncIterator[httpx2.AsyncClient]:
    async with browser(owner, build(tmp_path)) as made:
        yield made


def browser(owner: Owner, folder: Path) -> httpx2.AsyncClient:
    app = Pages(interface, Site(lambda: owner.product, folder))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://penstock.test")


@pytest.mark.parametrize("path", ["/", "/gallery", "/jobs/job_1", "/shell", "/sign-in", "/index", "/apiary"])
async def test_every_page_is_the_shell(client: httpx2.AsyncClient, path: str) -> None:
    answer = await client.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.headers["cache-control"] == "no-cache"
    assert "<title>Old &amp; New</title>" in answer.text
    assert 'content="Say &quot;cheese&quot;"' in answer.text


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/", "/api", "/openapi.json", "/metrics"])
async def test_the_interface_is_left_alone(client: httpx2.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code == 299
    assert (await client.post(path)).status_code == 299


@pytest.mark.parametrize(
    "path", ["/assets/gone-1.js", "/robots.txt", "/.env", "/manifest.json", "/web-stamp.txt", "/../secret.txt"]
)
async def test_a_file_that_is_not_there_is_not_the_shell(client: httpx2.AsyncClient, path: str) -> None:
    with pytest.raises(Exception, match="404"):
        await client.get(path)


async def test_pages_are_only_read(client: httpx2.AsyncClient) -> None:
    with pytest.raises(Exception, match="405"):
        await client.post("/gallery")


async def test_hashed_files_are_kept_for_ever_and_the_worker_is_not(client: httpx2.AsyncClient) -> None:
    script, worker = await client.get("/assets/app-Ab12.js"), await client.get("/sw.js")

    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert script.headers["content-type"].startswith("text/javascript")
    assert (worker.status_code, worker.headers["cache-control"]) == (200, "no-cache")


async def test_files_are_compressed_for_who_takes_it(client: httpx2.AsyncClient) -> None:
    packed = await client.get("/assets/app-Ab12.js", headers={"accept-encoding": "gzip"})
    plain = await client.get("/assets/app-Ab12.js", headers={"accept-encoding": "identity"})
    font = await client.get("/assets/font-Cd34.woff2", headers={"accept-encoding": "gzip"})

    assert (packed.headers["content-encoding"], packed.headers["vary"]) == ("gzip", "Accept-Encoding")
    assert int(packed.headers["content-length"]) < len(SCRIPT) / 5
    assert packed.text == plain.text == SCRIPT
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in font.headers


async def test_what_is_known_is_not_sent_again(client: httpx2.AsyncClient, owner: Owner) -> None:
    first = await client.get("/")
    known = await client.get("/", headers={"if-none-match": f'"other", W/{first.headers["etag"]}'})
    owner.change(title="Another")
    changed = await client.get("/", headers={"if-none-match": first.headers["etag"]})

    assert (known.status_code, known.content) == (304, b"")
    assert changed.status_code == 200
    assert "<title>Another</title>" in changed.text


async def test_a_head_request_has_no_body(client: httpx2.AsyncClient) -> None:
    answer = await client.head("/sw.js")

    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


async def test_without_a_built_app_a_page_says_so(tmp_path: Path, owner: Owner) -> None:
    async with browser(owner, tmp_path / "nothing") as client:
        page, theme = await client.get("/gallery"), await client.get("/theme.css")
        through = await client.get("/api/v1/health")

    assert "has not been built" in page.text
    assert "Old &amp; New" in page.text
    assert "<script" not in page.text
    assert "style=" not in page.text, "the content security policy would block it"
    assert (theme.status_code, through.status_code) == (200, 299)


@pytest.mark.parametrize("size", [192, 512])
async def test_icons_have_the_size_that_the_manifest_says(client: httpx2.AsyncClient, size: int) -> None:
    shown = json.loads((await client.get("/manifest.webmanifest")).content)
    sources = [icon for icon in shown["icons"] if icon["sizes"] == f"{size}x{size}"]
    images = [Image.open(io.BytesIO((await client.get(icon["src"])).content)) for icon in sources]

    assert {icon["purpose"] for icon in sources} == {"any", "maskable"}
    assert [image.size for image in images] == [(size, size)] * 2


async def test_the_favicon_is_one(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/favicon.ico")

    assert answer.headers["content-type"] == "image/x-icon"
    assert Image.open(io.BytesIO(answer.content)).format == "ICO"


def test_a_maskable_icon_fills_the_square_and_keeps_its_letter_inside() -> None:
    image = Image.open(io.BytesIO(icon_png("Rekindle", "#b4512d", 512, maskable=True))).convert("RGB")
    accent = (0xB4, 0x51, 0x2D)
    edge = round(512 * 0.1)
    outside = [image.getpixel((x, y)) for x in range(0, 512, 8) for y in (0, edge - 1, 511 - edge + 1, 511)]

    assert set(outside) == {accent}
    assert len(image.getcolors(1 << 20) or []) > 1, "the letter is missing"


def test_a_plain_icon_has_round_corners() -> None:
    image = Image.open(io.BytesIO(icon_png("Rekindle", "#b4512d", 192)))

    assert image.getpixel((0, 0)) == (0, 0, 0, 0)
    assert image.getpixel((96, 8)) == (0xB4, 0x51, 0x2D, 255)


@pytest.mark.parametrize(
    ("title", "letter"), [("Rekindle", "R"), ("  <b>", "B"), ("…", "•"), ("élan", "É"), ("3D", "3")]
)
def test_the_letter_of_a_title(title: str, letter: str) -> None:
    assert letter_of(title) == letter
    assert "<b>" not in icon_svg(title, "#000000")


@pytest.mark.parametrize("accent", ["#b4512d", "#ffff00", "#000000", "#ffffff", "#7f7f7f"])
def test_every_accent_can_be_read(accent: str) -> None:
    css = theme_css(Brand(title="T", tagline="T", accent=accent, accent_dark=accent))
    light, dark = [part.split("--accent:")[1][:7] for part in css.split("@media")]

    assert contrast(light, LIGHT_PAGE) >= MIN_CONTRAST
    assert contrast(dark, DARK_PAGE) >= MIN_CONTRAST
    assert contrast(ink_on(light), light) >= MIN_CONTRAST
    assert contrast(ink_on(dark), dark) >= MIN_CONTRAST


def test_an_installed_app_is_named_after_the_product() -> None:
    shown = manifest(make_product(brand={"title": "A very long name indeed", "tagline": "Short"}))

    assert (shown["name"], shown["short_name"], shown["description"]) == (
        "A very long name indeed",
        "A very long",
        "Short",
    )
    assert (shown["start_url"], shown["scope"], shown["display"]) == ("/", "/", "standalone")


def test_compressed_files_are_the_same_files(tmp_path: Path) -> None:
    page = built_app(build(tmp_path))["assets/app-Ab12.js"]

    assert page.gzipped is not None
    assert gzip.decompress(page.gzipped) == page.content == SCRIPT.encode()


async def test_nothing_is_compressed_before_it_is_asked_for(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compressed: list[int] = []
    compress = gzip.compress

    def counted(content: bytes, **options: Any) -> bytes:
        compressed.append(len(content))
        return compress(content, **options)

    monkeypatch.setattr("penstock.web.built.gzip.compress", counted)
    async with browser(owner, build(tmp_path)) as client:
        assert compressed == []
        packed = [await client.get("/assets/app-Ab12.js", headers={"accept-encoding": "gzip"}) for _ in range(2)]

    assert [answer.text for answer in packed] == [SCRIPT, SCRIPT]
    assert compressed == [len(SCRIPT.encode())]


def test_a_folder_that_is_no_web_app_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.web.built.MAX_APP_BYTES", 1_000)

    with pytest.raises(RuntimeError, match="larger than"):
        built_app(build(tmp_path))


@pytest.mark.skipif(not (APP_FOLDER / "index.html").exists(), reason="the web app has not been built")
async def test_everything_that_the_built_shell_names_is_there(owner: Owner) -> None:
    async with browser(owner, APP_FOLDER) as client:
        shell = await client.get("/")
        named = re.findall(r'(?:src|href)="(/[^"]+)"', shell.text)
        statuses = {path: (await client.get(path)).status_code for path in named}

    assert len(named) >= 4
    assert set(statuses.values()) == {200}
