"""Tests of what setup_libtorch.py does without a network: checking, unpacking, linking."""

from __future__ import annotations

import contextlib
import io
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import setup_libtorch
import wheels

HEADER = """
#define TORCH_VERSION_MAJOR 2
#define TORCH_VERSION_MINOR {minor}
#define TORCH_VERSION_PATCH 1
"""


class LibtorchTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.deps = Path(folder.name) / "deps"
        self.root = Path(folder.name) / "site-packages" / "torch"
        self.deps.mkdir()
        self.put(self.root / "build-version", "2.11.0+cpu\n")
        self.put(self.root / "include" / "torch" / "script.h", "")
        self.put(self.root / "lib" / "libc10.so", "std::__cxx11::string")
        self.put(self.root / "lib" / "libtorch_cpu.so", "")
        silence = contextlib.redirect_stderr(io.StringIO())
        silence.__enter__()
        self.addCleanup(silence.__exit__, None, None, None)

    def put(self, file: Path, content: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def refusal(self) -> str:
        with self.assertRaises(wheels.SetupError) as caught:
            setup_libtorch.link(self.deps, self.root)
        self.assertEqual(list(self.deps.iterdir()), [])
        return str(caught.exception)

    def linked(self) -> dict[str, Path]:
        """What lies in the folder to link against, and where it leads."""
        lib = self.deps / "libtorch-linked" / "lib"
        return {file.name: file.resolve() for file in lib.iterdir()}

    def test_only_the_cpu_part_is_shown(self) -> None:
        lib = self.root / "lib"
        nvidia = self.root.parent / "nvidia" / "cu13" / "lib"
        for name in ("libtorch.so", "libtorch_cuda.so", "libc10_cuda.so", "libgomp.so.1"):
            self.put(lib / name, "")
        for name in ("libcudart.so.13", "libcupti.so.13", "libcublas.so.13"):
            self.put(nvidia / name, "")
        setup_libtorch.link(self.deps, self.root)
        linked = self.linked()
        script = linked.pop("libtorch.so")
        self.assertEqual(script.read_text(), "INPUT(libtorch_cpu.so)\n")
        self.assertEqual(
            linked,
            {
                "libc10.so": lib / "libc10.so",
                "libtorch_cpu.so": lib / "libtorch_cpu.so",
                "libgomp.so": lib / "libgomp.so.1",
                "libcudart.so.13": nvidia / "libcudart.so.13",
                "libcupti.so.13": nvidia / "libcupti.so.13",
            },
        )
        self.assertTrue((self.deps / "libtorch-linked" / "include" / "torch" / "script.h").exists())

    def test_another_libtorch_takes_the_place_of_the_first(self) -> None:
        setup_libtorch.link(self.deps, self.root)
        other = self.root.with_name("other")
        self.root.rename(other)
        # Left by an interrupted run.
        self.put(self.deps / "libtorch-linked.part" / "lib" / "libc10.so", "")
        setup_libtorch.link(self.deps, other)
        self.assertEqual(self.linked()["libtorch_cpu.so"], other / "lib" / "libtorch_cpu.so")
        self.assertEqual([file.name for file in self.deps.iterdir()], ["libtorch-linked"])

    def test_versions(self) -> None:
        headers = ("headeronly/version.h", "csrc/api/include/torch/version.h")
        for header in headers:
            for minor, accepted in ((9, False), (11, True), (110, False)):
                with self.subTest(header=header, minor=minor):
                    for file in (self.root / "build-version", *map(self.header, headers)):
                        file.unlink(missing_ok=True)
                    self.put(self.header(header), HEADER.format(minor=minor))
                    if accepted:
                        setup_libtorch.check(self.root)
                    else:
                        self.assertIn(f"holds PyTorch 2.{minor}.1, and 2.11", self.refusal())

    def header(self, name: str) -> Path:
        return self.root / "include" / "torch" / name

    def test_what_is_no_libtorch_is_refused(self) -> None:
        self.put(self.root / "lib" / "libc10.so", "std::string")
        self.assertIn("old C++ ABI", self.refusal())
        (self.root / "lib" / "libtorch_cpu.so").unlink()
        self.assertIn("has no libtorch_cpu.so", self.refusal())
        (self.root / "build-version").unlink()
        self.assertIn("is no libtorch", self.refusal())

    def test_a_python_without_pytorch_is_refused(self) -> None:
        with mock.patch("importlib.util.find_spec", return_value=None):
            with self.assertRaisesRegex(wheels.SetupError, "has no PyTorch"):
                setup_libtorch.find_pytorch()

    def test_download_unpacks_what_is_needed(self) -> None:
        members = [
            "torch/version.py",
            "torch/nn/modules.py",
            "torch/include/torch/script.h",
            "torch/lib/libc10.so",
            "torch/lib/libtorch.so",
            "torch/lib/libtorch_cpu.so",
            "torch/lib/libtorch_cuda.so",
            "torch/lib/libtorch_python.so",
            "nvidia/cu13/lib/libcudart.so.13",
            "nvidia/cu13/lib/libcublas.so.13",
            "nvidia/cu13/include/cublas.h",
        ]
        wheel = self.deps / "wheels" / "all.whl"
        cpu = {"include/torch/script.h", "build-version"} | {
            f"lib/{name}" for name in ("libc10.so", "libtorch_cpu.so", "libcudart.so.13")
        }
        cuda = cpu | {"lib/libtorch_cuda.so", "lib/libcublas.so.13"}
        for with_cuda, expected in ((False, cpu), (True, cuda)):
            with self.subTest(cuda=with_cuda):
                self.put(wheel, "")
                with zipfile.ZipFile(wheel, "w") as archive:
                    for member in members:
                        archive.writestr(member, "__version__ = '2.11.0+cu130'\n")
                with (
                    mock.patch.object(wheels, "download", side_effect=[[wheel], []]),
                    mock.patch("platform.machine", return_value="x86_64"),
                    mock.patch.object(wheels, "require_space"),
                ):
                    setup_libtorch.download(self.deps, with_cuda)
                found = {
                    str(file.relative_to(self.deps / "libtorch"))
                    for file in (self.deps / "libtorch").rglob("*")
                    if file.is_file()
                }
                self.assertEqual(found, expected)
                self.assertEqual(setup_libtorch.version_of(self.deps / "libtorch"), "2.11.0+cu130")
                self.assertEqual([file.name for file in self.deps.iterdir()], ["libtorch"])

    def test_another_machine_is_refused(self) -> None:
        with mock.patch("platform.machine", return_value="aarch64"):
            with self.assertRaisesRegex(
                wheels.SetupError, "for x86_64, and this machine is aarch64"
            ):
                setup_libtorch.download(self.deps, cuda=False)

    def test_a_full_disk_is_refused(self) -> None:
        with mock.patch("shutil.disk_usage", return_value=mock.Mock(free=300_000_000)):
            with self.assertRaisesRegex(wheels.SetupError, r"needs 1\.3 GB .* has 0\.3 GB left"):
                wheels.require_space(self.deps, 1_300_000_000, "libtorch (CPU)")


if __name__ == "__main__":
    unittest.main()
