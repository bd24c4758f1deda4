"""Downloads pinned wheels through pip, with the settings that the user's pip has.

A wheel that came whole is kept until `discard`, so an interrupted set-up does not fetch it twice.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# The platforms of the pinned wheels. pip expands none of them to older ones by itself.
PLATFORMS = [
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_18_x86_64",
    "manylinux2014_x86_64",
]


class SetupError(Exception):
    """What is wrong and what to do about it, in sentences."""


def say(message: str) -> None:
    """Tells the user what is being done."""
    print(f"setup: {message}", file=sys.stderr, flush=True)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Refuses to start what needs more bytes than the disk of `folder` has left."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupError(
            f"{what} needs {needed / 1e9:.1f} GB of disk space, and {folder} has"
            f" {free / 1e9:.1f} GB left. Free some and start again."
        )


def download(requirements: Path, deps: Path) -> list[Path]:
    """The wheels that `requirements` pins, one per line of it, in folders of their own."""
    wheels = []
    for requirement in _logical_lines(requirements):
        pinned = requirement.split()[0]
        folder = _folder(deps) / pinned
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "requirement.txt").write_text(requirement + "\n")
        _pip_download(folder, _folder(deps) / "tmp", pinned)
        found = list(folder.glob("*.whl"))
        if len(found) != 1:
            raise SetupError(
                f"pip left {len(found)} wheels in {folder}. Remove it and start again."
            )
        wheels.append(found[0])
    return wheels


def discard(deps: Path) -> None:
    """Removes all downloaded wheels."""
    if _folder(deps).exists():
        shutil.rmtree(_folder(deps))


def extract(wheel: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    """Writes one file of a wheel to `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with wheel.open(member) as source, open(target, "wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)


def _folder(deps: Path) -> Path:
    return deps / "wheels"


def _logical_lines(requirements: Path) -> list[str]:
    joined = requirements.read_text().replace("\\\n", " ")
    lines = (line.strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _pip_download(folder: Path, scratch: Path, pinned: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check"]
    # The wheel is kept here already: pip's cache would only double the space.
    command += ["--no-cache-dir", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--python-version=3.11", "--implementation=cp"]
    command += [f"--platform={platform}" for platform in PLATFORMS]
    command += [f"--dest={folder}", f"--requirement={folder / 'requirement.txt'}"]
    # /tmp may be small, and a rename within one disk is cheap.
    scratch.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "TMPDIR": str(scratch), "PIP_REQUIRE_VIRTUALENV": "false"}
    try:
        # Progress goes to stderr: stdout belongs to the program that called the scripts.
        status = subprocess.run(command, env=environment, stdout=sys.stderr).returncode
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if status != 0:
        raise SetupError(
            f"pip could not download {pinned}; its own message is above."
            " Once that is solved, start again: what is already there is kept."
        )
