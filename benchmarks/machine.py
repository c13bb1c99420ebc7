"""Describes the machine and the versions that figures were taken on; names neither host nor path."""

import json
import os
import platform
import re
import sqlite3
from importlib.metadata import version
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
PACKAGES = (
    *("sqlalchemy", "uvloop", "asyncpg", "redis", "rq", "huey", "celery", "streaq", "taskiq", "taskiq-redis"),
    *("procrastinate", "dbos", "psycopg", "numpy", "opencv-contrib-python-headless", "pillow"),
)


def describe() -> dict[str, object]:
    """Return cores, processor, memory in GiB, kernel, and the versions that matter."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": f"{platform.system()} {_numbers(platform.release())}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: version(name) for name in PACKAGES},
    }


def write(path: Path) -> None:
    """Write the description to `path`, as JSON."""
    path.write_text(json.dumps(describe(), indent=2) + "\n")


def _processor() -> str:
    text = CPU_INFO.read_text() if CPU_INFO.exists() else ""
    return _field(text, "model name") or platform.machine()


def _field(cpu_info: str, name: str) -> str | None:
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.+)$", cpu_info, re.MULTILINE)
    return None if found is None else found.group(1).strip()


def _numbers(release: str) -> str:
    """Return `6.1.0` of `6.1.0-13-custom`: what follows names a build, sometimes a place."""
    found = re.match(r"[\d.]+", release)
    return release if found is None else found.group().rstrip(".")
