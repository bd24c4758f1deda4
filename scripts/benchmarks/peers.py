"""The peers' environments: made on request, from pinned versions, in .deps/bench."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

# What they unpack to, rounded up: PyTorch from PyPI brings CUDA along.
DISK_SPACE = {"torch": 6_000_000_000, "keras": 2_000_000_000}


class PeerError(Exception):
    """What is wrong and what to do about it."""


def python_of(name: str, folder: Path) -> Path:
    """The Python of an environment with what `requirements-<name>.txt` pins."""
    requirements = Path(__file__).resolve().parent / f"requirements-{name}.txt"
    home = folder / name
    python = home / "bin" / "python"
    made = home / "requirements.txt"
    wanted = requirements.read_text()
    if made.exists() and made.read_text() == wanted:
        return python
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < DISK_SPACE[name]:
        raise PeerError(
            f"{name} needs {DISK_SPACE[name] / 1e9:.0f} GB of disk, and {folder} has {free / 1e9:.1f} GB"
            " left: free some, or leave --peers out"
        )
    print(f"bench: fetching {name} into {home}", file=sys.stderr, flush=True)
    shutil.rmtree(home, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(home)])
    _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(requirements)])
    # Last: an environment that was cut off is made anew.
    made.write_text(wanted)
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, stdout=sys.stderr)
    if done.returncode != 0:
        raise PeerError(f"`{' '.join(command)}` failed with exit code {done.returncode}")
