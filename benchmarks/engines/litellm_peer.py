"""LiteLLM's proxy as a peer, in an environment of its own that is thrown away: nothing here imports it."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from tests.support.ports import free_port

VERSION = "1.106.2"  # 1.82.7 and 1.82.8 were compromised
KEY = f"sk-{secrets.token_hex(32)}"  # it starts with none but a strong one
INSTALL_S, START_S = 300.0, 120.0
LOOK_S = 0.2


def install(folder: Path) -> Path | None:
    """Install the proxy below `folder` and return its program; None where that can't be done."""
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        return None
    place = folder / "environment"
    commands = (
        [uv, "venv", "--quiet", "--python", sys.executable, str(place)],
        [uv, "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), f"litellm[proxy]=={VERSION}"],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError):
        return None
    program = place / "bin" / "litellm"
    return program if program.exists() else None


@contextmanager
def proxying(program: Path, vendor: str, model: str, folder: Path) -> Iterator[str]:
    """Run the proxy before a server that speaks OpenAI's format; yields its address."""
    config = folder / "litellm.yaml"  # JSON is YAML
    settings = {"model": f"openai/{model}", "api_base": f"{vendor}/v1", "api_key": "none"}
    config.write_text(json.dumps({"model_list": [{"model_name": model, "litellm_params": settings}]}))
    port = free_port()
    # Its table of prices would be fetched otherwise.
    environment = {
        **os.environ,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MASTER_KEY": KEY,
    }
    command = [
        str(program),
        "--config",
        str(config),
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--telemetry",
        "False",
    ]
    with (folder / "litellm.log").open("wb") as said:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=said, stderr=subprocess.STDOUT)
        try:
            _wait(process, f"http://127.0.0.1:{port}/health/liveliness")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(address, timeout=LOOK_S * 10):
                return
        except (URLError, OSError):
            time.sleep(LOOK_S)
    raise RuntimeError("LiteLLM's proxy did not start")
