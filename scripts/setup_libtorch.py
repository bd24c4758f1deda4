"""Provides libtorch: downloads it, or checks a PyTorch that is there, and prepares linking.

setup_libtorch.py download DEPS [--cuda]   makes DEPS/libtorch/{lib,include,build-version}
setup_libtorch.py find-pytorch             prints the folder of python3's own PyTorch
setup_libtorch.py link DEPS ROOT           makes DEPS/libtorch-linked out of ROOT/{lib,include}

The build links against the CPU part only, so that one binary runs with and without CUDA: the
worker opens libtorch_cuda.so itself where there is one. `libtorch-linked` therefore shows the CPU
libraries alone, and a linker script in place of libtorch.so, which would bring CUDA in. At run time
the libraries are found in ROOT/lib, where the links lead.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib.util
import platform
import re
import shutil
import sys
import zipfile
from pathlib import Path

import wheels
from wheels import SetupError, say

# tch 0.24.0 is made for this version; patch releases keep the interface.
VERSION = "2.11"
# Wheels and unpacked files together, rounded up.
DISK_SPACE = {"CPU": 1_300_000_000, "CUDA": 7_000_000_000}

# The wheels' members to take. All libraries go into one folder: each looks for the ones it needs in
# its own ($ORIGIN).
INCLUDE = "torch/include/*"
CPU_LIBRARIES = [
    "torch/lib/libc10.so",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libgomp.so.1",
    "nvidia/*/lib/libcudart.so.13",
    "nvidia/*/lib/libcupti.so.13",
]
CUDA_LIBRARIES = [
    "torch/lib/libc10_cuda.so",
    "torch/lib/libcaffe2_nvrtc.so",
    "torch/lib/libtorch_cuda.so",
    "torch/lib/libtorch_cuda_linalg.so",
    "torch/lib/libtorch_nvshmem.so",
    "nvidia/*/lib/*.so*",
]


def download(deps: Path, cuda: bool) -> None:
    """Unpacks libtorch from the pinned wheels. The folder appears complete or not at all."""
    part = "CUDA" if cuda else "CPU"
    if (machine := platform.machine()) != "x86_64":
        raise SetupError(
            f"the pinned libtorch is for x86_64, and this machine is {machine}."
            f" Install PyTorch {VERSION} and set LIBTORCH to its folder (with lib and include)."
        )
    wheels.require_space(deps, DISK_SPACE[part], f"libtorch ({part})")
    say(f"libtorch ({part}): downloading")
    scripts = Path(__file__).parent
    found = wheels.download(scripts / "requirements-libtorch.txt", deps)
    if cuda:
        found += wheels.download(scripts / "requirements-libtorch-cuda.txt", deps)

    say(f"libtorch ({part}): unpacking")
    target, aside = deps / "libtorch", deps / "libtorch.part"
    shutil.rmtree(aside, ignore_errors=True)
    libraries = CPU_LIBRARIES + (CUDA_LIBRARIES if cuda else [])
    for wheel in found:
        with zipfile.ZipFile(wheel) as archive:
            unpack(archive, libraries, aside)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    wheels.discard(deps)


def unpack(archive: zipfile.ZipFile, libraries: list[str], target: Path) -> None:
    for member in archive.infolist():
        name = member.filename
        if member.is_dir():
            continue
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in libraries):
            wheels.extract(archive, member, target / "lib" / Path(name).name)
        elif fnmatch.fnmatchcase(name, INCLUDE):
            wheels.extract(archive, member, target / Path(name).relative_to("torch"))
        elif name == "torch/version.py":
            version = re.search(r"__version__ = '(.+)'", archive.read(member).decode())
            target.mkdir(parents=True, exist_ok=True)
            (target / "build-version").write_text(f"{version[1]}\n" if version else "unknown\n")


def find_pytorch() -> Path:
    """The folder of the PyTorch that this Python would import, without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        raise SetupError(
            f"LIBTORCH_USE_PYTORCH is set, and {sys.executable} has no PyTorch."
            f" Install torch {VERSION} there, or unset the variable."
        )
    return Path(spec.origin).parent


def version_of(root: Path) -> str:
    """The version of the libtorch in `root`, from the file that says it."""
    file = root / "build-version"
    if file.is_file():
        return file.read_text().strip()
    for header in ("torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"):
        file = root / "include" / header
        if file.is_file():
            numbers = dict(re.findall(r"TORCH_VERSION_(MAJOR|MINOR|PATCH) (\d+)", file.read_text()))
            if len(numbers) == 3:
                return "{MAJOR}.{MINOR}.{PATCH}".format(**numbers)
    raise SetupError(
        f"{root} is no libtorch: neither build-version nor include/torch/headeronly/version.h says"
        " its version. LIBTORCH names the folder with lib and include."
    )


def check(root: Path) -> None:
    """Refuses a libtorch that the worker cannot be built against."""
    version = version_of(root)
    if not re.match(re.escape(VERSION) + r"\.\d", version):
        raise SetupError(
            f"{root} holds PyTorch {version}, and {VERSION} is needed."
            " Unset LIBTORCH and LIBTORCH_USE_PYTORCH to have the right one downloaded."
        )
    for name in ("libc10.so", "libtorch_cpu.so"):
        if not (root / "lib" / name).is_file():
            raise SetupError(f"{root / 'lib'} has no {name}. LIBTORCH names the folder above lib.")
    # Names of the new string type carry this mark.
    if b"__cxx11" not in (root / "lib" / "libc10.so").read_bytes():
        raise SetupError(f"{root} is built with the old C++ ABI, and the C++11 one is needed.")


def link(deps: Path, root: Path) -> None:
    """Makes the folder to link against, complete or not at all."""
    root = root.resolve()
    check(root)
    say(f"libtorch: linking against {root}")
    target, aside = deps / "libtorch-linked", deps / "libtorch-linked.part"
    shutil.rmtree(aside, ignore_errors=True)
    (aside / "lib").mkdir(parents=True)
    (aside / "include").symlink_to(root / "include")
    for name in ("libc10.so", "libtorch_cpu.so"):
        (aside / "lib" / name).symlink_to(root / "lib" / name)
    # Linkers that follow libtorch_cpu.so to what it needs look here.
    for folder in (root / "lib", *root.parent.glob("nvidia/*/lib")):
        for library in (*folder.glob("libcudart*.so*"), *folder.glob("libcupti*.so*")):
            if not (aside / "lib" / library.name).is_symlink():
                (aside / "lib" / library.name).symlink_to(library)
    # A compiler may come without OpenMP; libtorch does not.
    for library in sorted((root / "lib").glob("libgomp*.so*"))[:1]:
        (aside / "lib" / "libgomp.so").symlink_to(library)
    (aside / "lib" / "libtorch.so").write_text("INPUT(libtorch_cpu.so)\n")
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)


def main() -> None:
    parser = argparse.ArgumentParser(description="Provide libtorch for the build.")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("download")
    command.add_argument("deps", type=Path)
    command.add_argument("--cuda", action="store_true")
    commands.add_parser("find-pytorch")
    command = commands.add_parser("link")
    command.add_argument("deps", type=Path)
    command.add_argument("root", type=Path)
    options = parser.parse_args()
    if options.command == "download":
        download(options.deps, options.cuda)
    elif options.command == "find-pytorch":
        print(find_pytorch())
    else:
        link(options.deps, options.root)


if __name__ == "__main__":
    try:
        main()
    except (SetupError, OSError) as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
