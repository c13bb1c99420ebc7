"""Somebody in front of a browser: one context, what went wrong in it, and the steps that many tests take."""

import itertools
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, WebError, expect

PASSWORD = "a long enough passphrase"
API = "/api/v1"
_addresses = (f"visitor{number}@example.org" for number in itertools.count(1))

# Runs before anything of the page: what the policy forbids is reported, whichever page it happens on.
WATCH_POLICY = """
addEventListener("securitypolicyviolation", (event) => {
  reportViolation(`${event.violatedDirective}: ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});
"""
REFUSED = r"Failed to load resource: the server responded with a status of {status}"
UNREACHABLE = (
    r"net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|SOCKET_NOT_CONNECTED|INCOMPLETE_CHUNKED"
    r"|CONTENT_LENGTH_MISMATCH)"
)


@dataclass(frozen=True)
class Device:
    """What somebody holds in the hand or has on the desk."""

    name: str
    context: dict[str, Any]

    @property
    def has_touch(self) -> bool:
        """Whether it is a finger that points."""
        return bool(self.context.get("has_touch"))


PHONE = Device(
    "phone",
    {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2},
)
DESKTOP = Device("desktop", {"viewport": {"width": 1360, "height": 900}})
DEVICES = (PHONE, DESKTOP)


@dataclass
class Visitor:
    """A browser of one's own, with nothing remembered.

    Args:
        url: of the product.
        complaints: what no page may do, as it happened: forbidden by the policy, errors on the console, uncaught
            errors, requests to elsewhere.
    """

    context: BrowserContext
    url: str
    device: Device = DESKTOP
    page: Page = field(init=False)
    complaints: list[str] = field(default_factory=list)
    _expected: list[re.Pattern[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.expose_binding("reportViolation", lambda _source, text: self.complaints.append(f"policy: {text}"))
        self.context.add_init_script(WATCH_POLICY)
        self.context.on("console", self._console)
        self.context.on("weberror", self._error)
        self.context.on("request", self._request)
        self.page = self.context.new_page()
        # Asked for only when a test waits for one, a press of a key can overtake the request for file choosers.
        self.page.on("filechooser", lambda _chooser: None)

    # What went wrong

    def expects(self, pattern: str) -> None:
        """Take complaints like this as part of the test; browsers report each refused request on the console."""
        self._expected.append(re.compile(pattern))

    def expects_refusal(self, status: int) -> None:
        """Take it that the server refuses something with this status."""
        self.expects(REFUSED.format(status=status))

    def expects_outage(self) -> None:
        """Take it that the server can't be reached for a while."""
        self.expects(UNREACHABLE)
        self.expects(r"WebSocket connection to .* failed")

    def unexpected(self) -> list[str]:
        """Return the complaints that no test asked for."""
        return [text for text in self.complaints if not any(pattern.search(text) for pattern in self._expected)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"blob", "data"} and address.netloc != urlsplit(self.url).netloc:
            self.complaints.append(f"left the site: {request.url}")

    # Steps

    def open(self, path: str = "/") -> None:
        """Go to an address as if it had been typed, and wait until the page is there."""
        self.page.goto(self.url + path)
        expect(self.page.locator("h1")).to_be_visible()

    def follow(self, name: str) -> None:
        """Follow a link of the navigation."""
        link = self.page.get_by_role("navigation").get_by_role("link", name=name)
        self.press(link)

    def press(self, target: Locator) -> None:
        """Press a button or a link with what points on this device."""
        if self.device.has_touch:
            target.tap()
        else:
            target.click()

    def sign_up(self) -> str:
        """Make an account, from wherever the visitor is, and return its e-mail address."""
        email = next(_addresses)
        self.follow("Sign in")
        self.press(self.page.get_by_role("link", name="Sign up"))
        self.fill_in("signup", email)
        expect(self.page.get_by_role("navigation").get_by_role("link", name="Account")).to_be_visible()
        return email

    def fill_in(self, form: str, email: str, password: str = PASSWORD) -> None:
        """Fill in the form `signup` or `signin`, and send it."""
        self.page.get_by_test_id(f"{form}-email").fill(email)
        self.page.get_by_test_id(f"{form}-password").fill(password)
        self.press(self.page.get_by_test_id(f"{form}-submit"))

    def pick(self, picture: Path) -> str:
        """Choose a picture on the start page, wait for the corners, and return the upload's id."""
        self.page.get_by_test_id("file-input").set_input_files(picture)
        self.page.wait_for_url("**/edit/*")
        expect(self.corner(0)).to_be_visible()
        return self.page.url.rpartition("/")[2]

    def corner(self, index: int) -> Locator:
        """The handle of a corner, 0 to 3 clockwise from top left."""
        return self.page.get_by_test_id(f"corner-handle-{index}")

    def submit(self) -> str:
        """Start the work, and return the job's id."""
        button = self.page.get_by_test_id("submit-job")
        expect(button).to_be_enabled()
        self.press(button)
        self.page.wait_for_url("**/jobs/*")
        return self.page.url.rpartition("/")[2]

    def wait_for(self, status: str) -> None:
        """Wait until the job on the page has come to this status."""
        expect(self.page.get_by_test_id("job-status")).to_have_attribute("data-status", status)

    def has_credits(self, count: int) -> None:
        """Wait until the header shows this many credits."""
        expect(self.page.get_by_test_id("credits-available")).to_have_text(str(count))

    def drag(self, target: Locator, across: float, down: float) -> None:
        """Drag from the middle of something by so many CSS pixels: with a finger, or with the mouse."""
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box is not None
        start = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        path = [(start[0] + across * part, start[1] + down * part) for part in (0.25, 0.5, 0.75, 1.0)]
        if self.device.has_touch:
            self._swipe(start, path)
        else:
            self._drag_with_mouse(start, path)

    def _drag_with_mouse(self, start: tuple[float, float], path: list[tuple[float, float]]) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        for x, y in path:
            mouse.move(x, y)
        mouse.up()

    def _swipe(self, start: tuple[float, float], path: list[tuple[float, float]]) -> None:
        """Move at a person's pace and rest before letting go, by the times that the events carry.

        A finger that lets go while it moves leaves the page gliding, and the next tap would only stop it.
        """
        steps = [("touchStart", [start]), *(("touchMove", [point]) for point in (*path, path[-1])), ("touchEnd", [])]
        pace_s = 0.1
        began = time.time() - pace_s * len(steps)
        touch = self.context.new_cdp_session(self.page)
        for count, (kind, points) in enumerate(steps):
            at = [{"x": x, "y": y} for x, y in points]
            event = {"type": kind, "touchPoints": at, "timestamp": began + pace_s * count}
            touch.send("Input.dispatchTouchEvent", event)
        touch.detach()

    # The interface, with this browser's cookies

    def ask(self, path: str) -> Any:
        """Return the JSON that the interface answers to this visitor."""
        answer = self.context.request.get(f"{self.url}{API}{path}")
        assert answer.ok, f"{answer.status} {answer.text()}"
        return answer.json()

    def order(self, operation: str, picture: Path, **options: Any) -> str:
        """Order work past the pages, as another tab would, and return the job's id."""
        file = {"name": picture.name, "mimeType": "image/jpeg", "buffer": picture.read_bytes()}
        upload = self._post("/uploads", multipart={"file": file})
        body = {"operation": operation, "inputs": {"picture": upload["id"]}, "options": options}
        job: str = self._post("/jobs", data=body)["id"]
        return job

    def _post(self, path: str, **content: Any) -> Any:
        answer = self.context.request.post(f"{self.url}{API}{path}", headers={"origin": self.url}, **content)
        assert answer.ok, f"{answer.status} {answer.text()}"
        return answer.json()
