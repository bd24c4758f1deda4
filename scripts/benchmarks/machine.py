"""What was measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path


def described(threads: int) -> dict[str, str]:
    """In words."""
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores, {threads} used",
        "memory": f"{memory() / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
    }


def processor() -> str:
    return _after("/proc/cpuinfo", "model name") or platform.machine()


def memory() -> int:
    """In bytes."""
    total = _after("/proc/meminfo", "MemTotal") or "0 kB"
    return int(total.split()[0]) * 1024


def _after(path: str, key: str) -> str | None:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return None
    found = (line.partition(":")[2].strip() for line in lines if line.startswith(key))
    return next(found, None)


def commit(root: Path) -> str:
    """The sources' commit, and whether they were changed since."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def versions(python: Path, packages: list[str]) -> list[str]:
    """Of packages of that Python."""
    code = (
        "import importlib.metadata as m, sys\n"
        "for name in sys.argv[1:]: print(name, m.version(name))"
    )
    command = [str(python), "-c", code, *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()
