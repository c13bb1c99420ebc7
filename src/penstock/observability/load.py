"""How much of this machine is in use: processors and memory, of the container where there is one.

Reads Linux's own figures (`/sys/fs/cgroup`, `/proc`); where those are missing, only what the standard library knows.
"""

import os
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
_NO_LIMIT = "max"


@dataclass(frozen=True)
class Load:
    """Shares of the machine that are in use, 0 to 1; `level` is the scarcest of them."""

    cpu: float
    memory: float

    @property
    def level(self) -> float:
        """Return what is closest to its limit."""
        return max(self.cpu, self.memory)


def machine_load(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> Load:
    """Return the load now: runnable work of the last minute over the processors, and memory that can't be given up."""
    return Load(_clamped(_cpu(cgroup)), _clamped(_memory(cgroup, meminfo)))


def _cpu(cgroup: Path) -> float:
    try:
        runnable = os.getloadavg()[0]
    except OSError:
        return 0.0
    return runnable / max(0.01, _processors(cgroup))


def _processors(cgroup: Path) -> float:
    """Return how many processors this process may use; a container may have a part of one."""
    available = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if not quota or quota == _NO_LIMIT:
        return available
    return min(available, float(quota) / float(period))


def _memory(cgroup: Path, meminfo: Path) -> float:
    figures = _meminfo(meminfo)
    total, free = figures.get("MemTotal", 0), figures.get("MemAvailable", 0)
    shares = [1 - free / total] if total else []
    limit, used = _read(cgroup / "memory.max"), _read(cgroup / "memory.current")
    if limit and limit != _NO_LIMIT and used:
        shares.append((int(used) - _reclaimable(cgroup)) / int(limit))
    return max(shares, default=0.0)


def _reclaimable(cgroup: Path) -> int:
    """Return the bytes of the page cache that the kernel would give up first: used, but not needed."""
    for line in _read(cgroup / "memory.stat").splitlines():
        name, _, count = line.partition(" ")
        if name == "inactive_file":
            return int(count)
    return 0


def _meminfo(path: Path) -> dict[str, int]:
    figures = {}
    for line in _read(path).splitlines():
        name, _, rest = line.partition(":")
        if count := rest.split():
            figures[name] = int(count[0])
    return figures


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _clamped(share: float) -> float:
    return round(min(1.0, max(0.0, share)), 3)
