"""Pictures by https: only from where a stranger's picture may come, and not more than a picture is."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from penstock_worker import downloads
from penstock_worker.inputs import BadInputError

URL = "https://pictures.example/door.png"


@dataclass
class Response:
    """What a server says."""

    status_code: int = 200
    url: str = URL
    chunks: list[bytes] = field(default_factory=lambda: [b"pic", b"ture"])
    closed: bool = False

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.closed = True

    def iter_content(self, chunk_size: int) -> Iterator[bytes]:
        assert chunk_size == downloads.CHUNK_BYTES
        return iter(self.chunks)


def answered(monkeypatch: pytest.MonkeyPatch, response: Response | Exception) -> None:
    def get(*_: Any, **__: Any) -> Response:
        if isinstance(response, Exception):
            raise response
        return response

    monkeypatch.setattr(downloads, "safe_get", get)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/x.png", "https://169.254.169.254/latest", "https://localhost/x", "https://[::1]/x"]
)
def test_what_is_not_public_is_not_asked(url: str) -> None:
    with pytest.raises(BadInputError, match=r"is not fetched: .*non-public address"):
        downloads.download(url, 1_000)


def test_a_picture_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    response = Response()
    answered(monkeypatch, response)
    assert downloads.download(URL, 7) == b"picture"
    assert response.closed


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (Response(status_code=404), "HTTP 404"),
        (Response(url="http://pictures.example/door.png"), "not given by https"),
        (Response(chunks=[b"x" * 8]), "exceeds size cap"),
        (requests.ConnectionError("no route"), "can't be had: ConnectionError"),
    ],
)
def test_what_can_not_be_had_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, response: Response | Exception, said: str
) -> None:
    answered(monkeypatch, response)
    with pytest.raises(BadInputError, match=said):
        downloads.download(URL, 7)
