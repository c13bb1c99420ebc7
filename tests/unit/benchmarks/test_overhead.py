"""The benchmark of what we cost in time, in small."""

import json
from pathlib import Path

import pytest
from benchmarks import overhead
from benchmarks.engines import contest, litellm_peer

FOUND = {
    "direct": {"1.p50": 2.0, "1.p99": 4.0},
    "ours": {"1.p50": 20.0, "1.p99": 60.0},
    "litellm": {"1.p50": 10.0, "1.p99": 30.0},
}


@pytest.mark.parametrize("way", ["direct", "ours"])
def test_every_way_is_measured_at_each_number_of_callers(way: str) -> None:
    measured = contest.run_once(way, ["benchmarks.engines.calls", "--way", way, "--concurrent", "1", "3"])
    assert measured.keys() == {"1.p50", "1.p99", "3.p50", "3.p99"}
    assert 0 < measured["1.p50"] <= measured["1.p99"]


def test_each_figure_stands_beside_its_peers() -> None:
    figures = {figure.name: figure for figure in overhead._figures(1, FOUND)}
    assert figures["overhead.1.p50"].ratios == {"direct": 10.0, "litellm": 2.0}
    assert figures["overhead.1.litellm.p99"].ratios == {"direct": 7.5}


def test_without_the_proxy_its_figures_are_missing() -> None:
    found = {name: measured for name, measured in FOUND.items() if name != "litellm"}
    assert [figure.name for figure in overhead._figures(1, found)] == ["overhead.1.p50", "overhead.1.p99"]
    assert "litellm" not in overhead._engines(None)


def test_a_proxy_that_cannot_be_installed_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm_peer, "VERSION", "0.0.0.nothing-like-it")
    assert litellm_peer.install(tmp_path) is None
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert litellm_peer.install(tmp_path) is None


def test_a_proxy_runs_before_the_chat_server_with_a_key(tmp_path: Path) -> None:
    """The program is a stand-in: what is asked of it is seen in what it was started with."""
    program = tmp_path / "litellm"
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import http.server, os, sys\n"
        "open('started', 'w').write(os.environ['LITELLM_MASTER_KEY'])\n"
        "class Alive(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200); self.end_headers()\n"
        "http.server.HTTPServer(('127.0.0.1', int(sys.argv[sys.argv.index('--port') + 1])), Alive).serve_forever()\n"
    )
    program.chmod(0o755)
    with litellm_peer.proxying(program, "http://127.0.0.1:9", "m", tmp_path) as address:
        assert address.startswith("http://127.0.0.1:")
    assert (tmp_path / "started").read_text() == litellm_peer.KEY
    (model,) = json.loads((tmp_path / "litellm.yaml").read_text())["model_list"]
    assert model["litellm_params"]["api_base"] == "http://127.0.0.1:9/v1"
    dead = tmp_path / "dead"
    dead.write_text("#!/bin/sh\nexit 1\n")
    dead.chmod(0o755)
    with pytest.raises(RuntimeError, match="did not start"), litellm_peer.proxying(dead, "x", "m", tmp_path):
        pass
