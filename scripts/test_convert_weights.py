"""Tests of convert_weights.py on small checkpoints, written here byte by byte without PyTorch."""

from __future__ import annotations

import collections
import contextlib
import io
import json
import os
import pickle
import struct
import sys
import tempfile
import types
import unittest
import zipfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import convert_weights as cw


def _stand_in(module: str, name: str) -> type:
    """A class that pickles as `module.name`."""
    return type(name, (), {"__module__": module, "__qualname__": name})


STORAGES = {name: _stand_in("torch", name) for name in (*cw.STORAGE_DTYPES, "ComplexFloatStorage")}
REBUILD_TENSOR = _stand_in("torch._utils", "_rebuild_tensor_v2")
REBUILD_PARAMETER = _stand_in("torch._utils", "_rebuild_parameter")
TORCH = types.SimpleNamespace(**STORAGES)
TORCH_UTILS = types.SimpleNamespace(
    _rebuild_tensor_v2=REBUILD_TENSOR, _rebuild_parameter=REBUILD_PARAMETER
)


@dataclass(eq=False)
class FakeStorage:
    kind: str
    key: str
    data: bytes

    @property
    def numel(self) -> int:
        size = cw.STORAGE_DTYPES[self.kind].size if self.kind in cw.STORAGE_DTYPES else 8
        return len(self.data) // size


@dataclass(eq=False)
class FakeTensor:
    storage: FakeStorage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    parameter: bool = False


class CheckpointPickler(pickle.Pickler):
    """Writes fake tensors the way `torch.save` writes real ones."""

    def __init__(self, file: io.BytesIO, legacy: bool) -> None:
        super().__init__(file, protocol=2)
        self.legacy = legacy
        self.storages: dict[str, FakeStorage] = {}

    def persistent_id(self, value: object) -> object:
        if not isinstance(value, FakeStorage):
            return None
        self.storages[value.key] = value
        pid = ("storage", STORAGES[value.kind], value.key, "cpu", value.numel)
        return (*pid, None) if self.legacy else pid

    def reducer_override(self, value: object) -> object:
        if not isinstance(value, FakeTensor):
            return NotImplemented
        if value.parameter:
            data = FakeTensor(value.storage, value.offset, value.shape, value.strides)
            return REBUILD_PARAMETER, (data, True, collections.OrderedDict())
        view = (value.storage, value.offset, value.shape, value.strides)
        return REBUILD_TENSOR, (*view, False, collections.OrderedDict())


def pickled(content: object, legacy: bool) -> tuple[bytes, dict[str, FakeStorage]]:
    file = io.BytesIO()
    pickler = CheckpointPickler(file, legacy)
    with mock.patch.dict(sys.modules, {"torch": TORCH, "torch._utils": TORCH_UTILS}):
        pickler.dump(content)
    return file.getvalue(), pickler.storages


def legacy_checkpoint(content: object, little_endian: bool = True) -> bytes:
    body, storages = pickled(content, legacy=True)
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {}}
    parts = [pickle.dumps(part, 2) for part in (cw.LEGACY_MAGIC, cw.LEGACY_PROTOCOL, system)]
    parts += [body, pickle.dumps(sorted(storages), 2)]
    for key in sorted(storages):
        parts += [struct.pack("<q", storages[key].numel), storages[key].data]
    return b"".join(parts)


def zip_checkpoint(content: object, **members: bytes) -> bytes:
    body, storages = pickled(content, legacy=False)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", body)
        for key, storage in storages.items():
            archive.writestr(f"archive/data/{key}", storage.data)
        for name, data in members.items():
            archive.writestr(f"archive/{name}", data)
    return file.getvalue()


FORMATS = {"legacy": legacy_checkpoint, "zip": zip_checkpoint}


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def range_storage(count: int, key: str = "0") -> FakeStorage:
    return FakeStorage("FloatStorage", key, floats(*range(count)))


def tensor(storage: FakeStorage, *shape: int) -> FakeTensor:
    """A contiguous tensor from the storage's first element on."""
    strides, step = [], 1
    for count in reversed(shape):
        strides.append(step)
        step *= count
    return FakeTensor(storage, 0, shape, tuple(reversed(strides)))


def parse(safetensors: bytes) -> dict[str, tuple[str, list[int], bytes]]:
    """Type, shape and bytes by name, after the rules of the format."""
    size = int.from_bytes(safetensors[:8], "little")
    header = json.loads(safetensors[8 : 8 + size])
    header.pop("__metadata__")
    data = safetensors[8 + size :]
    ends = sorted(tuple(entry["data_offsets"]) for entry in header.values())
    assert [start for start, _ in ends] == [0, *(end for _, end in ends)][: len(ends)], "holes"
    assert not ends or ends[-1][1] == len(data), "bytes after the last tensor"
    return {
        name: (entry["dtype"], entry["shape"], data[slice(*entry["data_offsets"])])
        for name, entry in header.items()
    }


class ConversionTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.input = Path(folder.name) / "in.pth"
        self.output = Path(folder.name) / "out.safetensors"

    def run_main(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cw.main(list(arguments))
        return status, out.getvalue(), err.getvalue()

    def convert(self, checkpoint: bytes) -> bytes:
        self.input.write_bytes(checkpoint)
        status, _, err = self.run_main(str(self.input), str(self.output))
        self.assertEqual((status, err), (0, ""))
        return self.output.read_bytes()

    def refusal(self, checkpoint: bytes) -> str:
        """What is said about a checkpoint that cannot be converted; nothing must be left behind."""
        self.input.write_bytes(checkpoint)
        status, out, err = self.run_main(str(self.input), str(self.output))
        self.assertEqual((status, out), (1, ""))
        self.assertEqual([file.name for file in self.input.parent.iterdir()], ["in.pth"])
        self.assertTrue(err.startswith(f"{self.input} "), err)
        return err.removeprefix(f"{self.input} ").strip()

    def test_types_and_scalars(self) -> None:
        content = collections.OrderedDict()
        expected = {}
        for index, (kind, dtype) in enumerate(cw.STORAGE_DTYPES.items()):
            data = bytes(range(3 * dtype.size))
            content[kind] = tensor(FakeStorage(kind, str(index), data), 3)
            expected[kind] = (dtype.name, [3], data)
        scalar = struct.pack("<q", 7)
        content["num_batches_tracked"] = tensor(FakeStorage("LongStorage", "scalar", scalar))
        expected["num_batches_tracked"] = ("I64", [], scalar)
        content["empty"] = tensor(FakeStorage("FloatStorage", "empty", b""), 0, 3)
        expected["empty"] = ("F32", [0, 3], b"")
        # `torch.save` keeps the versions of modules as an attribute of the state dict.
        content._metadata = {"": {"version": 2}}
        for name, write in FORMATS.items():
            with self.subTest(name):
                self.assertEqual(parse(self.convert(write(content))), expected)

    def test_views(self) -> None:
        cases = {
            "contiguous": (0, (2, 3), (3, 1), range(6)),
            "offset": (4, (2, 2), (2, 1), (4, 5, 6, 7)),
            "transposed": (0, (3, 2), (1, 3), (0, 3, 1, 4, 2, 5)),
            "rows of a wider matrix": (1, (2, 2), (4, 1), (1, 2, 5, 6)),
            "channels last": (0, (1, 2, 2, 2), (8, 1, 4, 2), (0, 2, 4, 6, 1, 3, 5, 7)),
            "every third": (1, (3,), (3,), (1, 4, 7)),
            "expanded": (5, (2, 3), (1, 0), (5, 5, 5, 6, 6, 6)),
            "expanded rows": (2, (2, 2), (0, 1), (2, 3, 2, 3)),
            "stride of a single element": (3, (1, 2), (99, 1), (3, 4)),
            "scalar with offset": (11, (), (), (11,)),
        }
        storage = range_storage(12)
        content = {name: FakeTensor(storage, *view) for name, (*view, _) in cases.items()}
        for form, write in FORMATS.items():
            result = parse(self.convert(write(content)))
            for name, (_, shape, _, values) in cases.items():
                with self.subTest(f"{name}, {form}"):
                    self.assertEqual(result[name], ("F32", list(shape), floats(*values)))

    def test_shared_storage_and_parameters(self) -> None:
        storage = range_storage(2)
        content = {"tied.a": tensor(storage, 2), "tied.b": FakeTensor(storage, 0, (2,), (1,), True)}
        for name, write in FORMATS.items():
            with self.subTest(name):
                result = parse(self.convert(write(content)))
                self.assertEqual(result["tied.a"], ("F32", [2], floats(0, 1)))
                self.assertEqual(result["tied.b"], result["tied.a"])

    def test_state_dict_is_unwrapped(self) -> None:
        content = {"epoch": 3, "state_dict": {"w": tensor(range_storage(2), 2)}}
        for name, write in FORMATS.items():
            with self.subTest(name):
                self.assertEqual(list(parse(self.convert(write(content)))), ["w"])

    def test_bytes_do_not_depend_on_order_or_format(self) -> None:
        a, b = range_storage(3, "0"), FakeStorage("ByteStorage", "1", b"xyz")
        written = {write({"a": tensor(a, 3), "b": tensor(b, 3)}) for write in FORMATS.values()} | {
            zip_checkpoint({"b": tensor(b, 3), "a": tensor(a, 3)})
        }
        self.assertEqual(len(written), 3)
        self.assertEqual(len({self.convert(checkpoint) for checkpoint in written}), 1)

    def test_data_is_aligned(self) -> None:
        content = {
            "a": tensor(FakeStorage("ByteStorage", "0", b"xyz"), 3),
            "b": tensor(range_storage(1, "1")),
            "c": tensor(FakeStorage("LongStorage", "2", bytes(8))),
        }
        written = self.convert(legacy_checkpoint(content))
        size = int.from_bytes(written[:8], "little")
        self.assertEqual(size % 8, 0)
        header = json.loads(written[8 : 8 + size])
        self.assertEqual(list(header), ["__metadata__", "a", "b", "c"])
        self.assertEqual(header["c"]["data_offsets"], [0, 8])
        self.assertEqual(header["b"]["data_offsets"], [8, 12])

    def test_list(self) -> None:
        content = {"w": tensor(range_storage(6), 2, 3), "bias": tensor(range_storage(1, "1"), 1)}
        self.input.write_bytes(zip_checkpoint(content))
        status, out, err = self.run_main("--list", str(self.input))
        self.assertEqual((status, err), (0, ""))
        self.assertEqual(out, "bias  F32   [1]\nw     F32   [2, 3]\n")
        self.assertFalse(self.output.exists())

    def test_code_is_refused_and_not_run(self) -> None:
        class Malicious:
            def __reduce__(self) -> object:
                return os.mkdir, (str(marker),)

        marker = self.input.with_name("ran")
        for name, write in FORMATS.items():
            with self.subTest(name):
                said = self.refusal(write({"w": Malicious()}))
                self.assertIn(f"holds {os.mkdir.__module__}.mkdir; only tensors", said)
        self.assertFalse(marker.exists())

    def test_code_in_every_legacy_pickle_is_refused(self) -> None:
        header = [pickle.dumps(part, 2) for part in (cw.LEGACY_MAGIC, cw.LEGACY_PROTOCOL)]
        attack = b"cos\nsystem\n(S'true'\ntR."
        self.assertEqual(self.refusal(attack), "is not a PyTorch checkpoint")
        for count in (1, 2):
            said = self.refusal(b"".join(header[:count]) + attack)
            self.assertIn("holds os.system", said)

    def test_unknown_storage_is_refused(self) -> None:
        storage = FakeStorage("ComplexFloatStorage", "0", bytes(8))
        said = self.refusal(zip_checkpoint({"z": tensor(storage, 1)}))
        self.assertIn("holds torch.ComplexFloatStorage", said)

    def test_cut_legacy_file_is_refused_at_every_length(self) -> None:
        whole = legacy_checkpoint({"w": tensor(range_storage(3, "weights"), 3)})
        end = len(whole)
        self.assertEqual(
            self.refusal(whole[:-1]),
            f"is cut short: storage 'weights' should end at byte {end}, the file ends at {end - 1}",
        )
        for length in range(len(whole)):
            self.refusal(whole[:length])

    def test_cut_zip_file_is_refused(self) -> None:
        whole = zip_checkpoint({"w": tensor(range_storage(3), 3)})
        self.assertEqual(self.refusal(whole[:-1]), "is cut short: a zip file without its end")

    def test_damaged_zip_file_is_refused(self) -> None:
        whole = bytearray(zip_checkpoint({"w": tensor(range_storage(3), 3)}))
        whole[whole.index(floats(0, 1, 2))] ^= 1
        self.assertRegex(self.refusal(bytes(whole)), "^is a damaged zip file .*data/0")

    def test_refusals(self) -> None:
        storage = range_storage(4)
        short = FakeStorage("FloatStorage", "0", bytes(8))
        legacy = legacy_checkpoint({"w": tensor(storage, 4)})
        pickle_only, _ = pickled({"w": tensor(storage, 4)}, legacy=False)
        cases = {
            "is empty": b"",
            "is not a PyTorch checkpoint": b"RIFF0000WAVE",
            "is not a PyTorch checkpoint (a zip file without data.pkl)": _zip_of({"a/b.txt": b""}),
            "was not written on a little-endian machine": legacy_checkpoint({}, False),
            "holds a list instead of a state dict": zip_checkpoint([tensor(storage, 4)]),
            "has a int under 'epoch' and no tensor": zip_checkpoint({"epoch": 3}),
            "has the key 3, which is no name of a tensor": zip_checkpoint({3: tensor(storage, 4)}),
            "a tensor needs element 4 of storage '0', which has 4": zip_checkpoint(
                {"w": FakeTensor(storage, 1, (4,), (1,))}
            ),
            "holds a tensor of shape (2,) with strides (-1,) at 3": zip_checkpoint(
                {"w": FakeTensor(storage, 3, (2,), (-1,))}
            ),
            "describes storage '0' in two ways": zip_checkpoint(
                {"a": tensor(storage, 4), "b": tensor(short, 2)}
            ),
            "has 3 elements in storage '0', and its tensors expect 4": legacy.replace(
                struct.pack("<q", 4), struct.pack("<q", 3)
            ),
            "lacks storage '0'": _zip_of({"archive/data.pkl": pickle_only}),
            "has 12 bytes in storage '0', and its tensors expect 16": _zip_of(
                {"archive/data.pkl": pickle_only, "archive/data/0": bytes(12)}
            ),
        }
        for said, checkpoint in cases.items():
            with self.subTest(said):
                self.assertEqual(self.refusal(checkpoint), said)

    def test_big_endian_zip_is_refused(self) -> None:
        said = self.refusal(zip_checkpoint({}, byteorder=b"big"))
        self.assertEqual(said, "was not written on a little-endian machine")

    def test_huge_pickle_is_refused(self) -> None:
        with mock.patch.object(cw, "MAX_PICKLE_BYTES", 1 << 20):
            for name, write in FORMATS.items():
                with self.subTest(name):
                    said = self.refusal(write({"x" * (1 << 20): tensor(range_storage(1), 1)}))
                    self.assertEqual(said, "holds a pickle of more than 1 MiB")

    def test_huge_header_is_refused(self) -> None:
        with mock.patch.object(cw, "MAX_HEADER_BYTES", 100):
            said = self.refusal(zip_checkpoint({"x" * 100: tensor(range_storage(1), 1)}))
            self.assertRegex(said, r"^needs a header of \d+ bytes")

    def test_missing_file_is_named(self) -> None:
        status, _, err = self.run_main(str(self.input), str(self.output))
        self.assertEqual((status, err), (1, f"{self.input}: No such file or directory\n"))

    def test_failed_write_keeps_the_old_file(self) -> None:
        self.output.write_bytes(b"old")
        self.input.write_bytes(zip_checkpoint({"w": tensor(range_storage(1), 1)}))
        with mock.patch.object(os, "fsync", side_effect=OSError(28, "No space left on device")):
            status, _, err = self.run_main(str(self.input), str(self.output))
        self.assertEqual(status, 1)
        self.assertIn("No space left on device", err)
        self.assertEqual(self.output.read_bytes(), b"old")
        self.assertEqual(len(list(self.input.parent.iterdir())), 2)


def _zip_of(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


if __name__ == "__main__":
    unittest.main()
