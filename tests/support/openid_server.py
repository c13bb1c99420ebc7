"""A real OpenID provider, npm's oidc-provider, run by the Node that comes with the Python dependencies."""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx2
import pytest
from web_build import find_node

from tests.support.flows import PATIENCE_S
from tests.support.served import ROOT

CLIENT_ID, CLIENT_SECRET = "penstock-tests", "a secret / with + signs: of the tests"
SECRET_ENV = "REAL_SECRET"
START_LIMIT_S = 60.0
SCRIPT = Path(__file__).with_name("openid_server.mjs")


@dataclass(frozen=True)
class OpenIdServer:
    """A provider that runs; whoever types a name there is that person."""

    issuer: str

    def product_table(self) -> dict[str, object]:
        """Return `[sign_in.openid]` of a product that uses it, as a client with a secret and as a public one."""
        terms = {"title": "Real", "issuer": self.issuer, "client_id": CLIENT_ID, "client_secret_env": SECRET_ENV}
        public = {"title": "Public", "issuer": self.issuer, "client_id": f"{CLIENT_ID}-public"}
        return {"real": terms, "public": public}

    async def pass_through(self, url: str, login: str | None) -> str:
        """Go where the product sends a browser, sign in, and return the address that the provider sends it back to.

        Args:
            login: None to refuse.
        """
        async with httpx2.AsyncClient(timeout=PATIENCE_S) as browser:
            answer = await browser.get(url)
            form = {"refuse": "1"} if login is None else {"login": login}
            at = url
            while self._is_own(at := urljoin(at, answer.headers["location"])):
                if "/interaction/" in at:
                    answer = await browser.post(at, data=form)
                else:
                    answer = await browser.get(at)
                assert answer.status_code in {302, 303}, answer.text
            return at

    def _is_own(self, url: str) -> bool:
        return urlsplit(url).netloc == urlsplit(self.issuer).netloc


@contextmanager
def openid_server() -> Iterator[OpenIdServer]:
    """Run a provider. Skips where its npm package is not installed, as `make web` does."""
    web = ROOT / "web"
    if not (web / "node_modules" / "oidc-provider").is_dir():
        pytest.skip("npm's oidc-provider is not installed: run make web")
    node = shutil.which("node", path=find_node().environment["PATH"])
    assert node is not None
    command = [node, str(SCRIPT), str(web), CLIENT_ID, CLIENT_SECRET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        impatience = threading.Timer(START_LIMIT_S, process.kill)
        impatience.start()
        try:
            assert process.stdout is not None
            issuer = process.stdout.readline().strip()
            impatience.cancel()
            assert issuer.startswith("http://127.0.0.1:"), "the provider did not start"
            yield OpenIdServer(issuer)
        finally:
            impatience.cancel()
            process.kill()
