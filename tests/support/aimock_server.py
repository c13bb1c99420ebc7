"""Somebody else's stand-in for vendors, npm's @copilotkit/aimock, run by the Node of the Python dependencies."""

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from web_build import find_node

from tests.support.served import ROOT
from tests.support.vendors.drawn import landscape

PACKAGE = Path("@copilotkit") / "aimock"
SCRIPT = Path(__file__).with_name("aimock_server.mjs")
START_LIMIT_S = 60.0
ANSWER, PAUSE_S = "Under a wide sky.", 34
WORKS, LIMITED, REFUSED = "a field", "too many at once", "what nobody should ask"
"""What a request must say to come to each of these."""

_LIMIT = {"error": {"message": "Rate limit reached.", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
_REFUSAL = {
    "error": {
        "message": "Rejected by the safety system.",
        "type": "image_generation_user_error",
        "code": "moderation_blocked",
    }
}


def fixtures() -> list[tuple[dict[str, str], dict[str, Any]]]:
    """Return what a request must say and what it comes to then, for texts and for pictures."""
    picture = {"image": {"b64Json": base64.b64encode(landscape()).decode()}}
    shared: list[tuple[str, dict[str, Any]]] = [
        (LIMITED, {**_LIMIT, "status": 429, "retryAfter": PAUSE_S}),
        (REFUSED, {**_REFUSAL, "status": 400}),
    ]
    return [
        *(({"userMessage": said, "endpoint": kind}, answer) for kind in ("chat", "image") for said, answer in shared),
        ({"userMessage": WORKS, "endpoint": "chat"}, {"content": ANSWER}),
        ({"userMessage": WORKS, "endpoint": "image"}, picture),
    ]


@contextmanager
def aimock_server() -> Iterator[str]:
    """Run it; yields its address. Skips where its npm package is not installed, as `make web` does."""
    web = ROOT / "web"
    if not (web / "node_modules" / PACKAGE).is_dir():
        pytest.skip("npm's @copilotkit/aimock is not installed: run make web")
    node = shutil.which("node", path=find_node().environment["PATH"])
    assert node is not None
    command = [node, str(SCRIPT), str(web), json.dumps(fixtures())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        impatience = threading.Timer(START_LIMIT_S, process.kill)
        impatience.start()
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            impatience.cancel()
            assert url.startswith("http://127.0.0.1:"), "it did not start"
            yield url
        finally:
            impatience.cancel()
            process.kill()
