#!/usr/bin/env python3
"""Turns a PyTorch checkpoint (.pth, .pt) into a safetensors file.

    convert_weights.py IN.pth OUT.safetensors
    convert_weights.py --list IN.pth

Needs no PyTorch: it reads both formats that `torch.save` has written, the legacy one (a sequence of
pickles, then raw storages) and the zip one (a pickle and one file per storage). A pickle can run
any code, so this one admits tensors in dictionaries and refuses everything else by its name.

The same checkpoint always gives the same bytes. The format: https://huggingface.co/docs/safetensors
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import math
import mmap
import os
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
# A pickle holds names and shapes only; those of the largest models stay far below this.
MAX_PICKLE_BYTES = 64 << 20
# The limit that the reference implementation of safetensors sets when it reads.
MAX_HEADER_BYTES = 100_000_000


class ConversionError(Exception):
    """What is wrong with a checkpoint, as the rest of a sentence that starts with its name."""


class DType(NamedTuple):
    """An element type: its name in safetensors and the bytes that one element takes."""

    name: str
    size: int


STORAGE_DTYPES = {
    "DoubleStorage": DType("F64", 8),
    "FloatStorage": DType("F32", 4),
    "HalfStorage": DType("F16", 2),
    "BFloat16Storage": DType("BF16", 2),
    "LongStorage": DType("I64", 8),
    "IntStorage": DType("I32", 4),
    "ShortStorage": DType("I16", 2),
    "CharStorage": DType("I8", 1),
    "ByteStorage": DType("U8", 1),
    "BoolStorage": DType("BOOL", 1),
}


@dataclass
class Storage:
    """A flat run of elements that tensors look into. The pickle names it, the bytes come after."""

    key: str
    dtype: DType
    numel: int
    data: memoryview = memoryview(b"")

    @property
    def nbytes(self) -> int:
        return self.numel * self.dtype.size


@dataclass(frozen=True)
class Tensor:
    """A strided view of a storage. Offset and strides count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def dtype(self) -> DType:
        return self.storage.dtype

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.size

    def check(self) -> None:
        """Refuses a view that reaches outside its storage."""
        if 0 in self.shape:
            return
        last = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides))
        if last >= self.storage.numel:
            raise ConversionError(
                f"a tensor needs element {last} of storage {self.storage.key!r},"
                f" which has {self.storage.numel}"
            )

    def pieces(self) -> Iterator[memoryview | bytes]:
        """The elements in row-major order, in pieces as large as the strides allow."""
        if 0 in self.shape:
            return
        data, size = self.storage.data, self.dtype.size

        # Trailing dimensions that lie one after another are one run of elements.
        run, outer = 1, len(self.shape)
        while outer > 0 and (self.shape[outer - 1] == 1 or self.strides[outer - 1] == run):
            run *= self.shape[outer - 1]
            outer -= 1
        dims = list(zip(self.shape[:outer], self.strides[:outer]))

        if run > 1 or not dims:
            for first in _starts(self.offset, dims):
                yield data[first * size : (first + run) * size]
            return
        # No two elements are neighbours: the last dimension is copied with its stride.
        count, stride = dims.pop()
        elements = data.cast({1: "B", 2: "H", 4: "I", 8: "Q"}[size])
        for first in _starts(self.offset, dims):
            if stride == 0:
                yield bytes(data[first * size : (first + 1) * size]) * count
            else:
                yield elements[first : first + (count - 1) * stride + 1 : stride].tobytes()


def _starts(offset: int, dims: list[tuple[int, int]]) -> Iterator[int]:
    """The first element of every run; of `dims` (count, stride) the last moves fastest."""
    for index in itertools.product(*(range(count) for count, _ in dims)):
        yield offset + sum(i * stride for i, (_, stride) in zip(index, dims))


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Tensor:
    shape, strides = tuple(shape), tuple(strides)
    well_formed = (
        isinstance(storage, Storage)
        and len(shape) == len(strides)
        and all(type(n) is int and n >= 0 for n in (offset, *shape, *strides))
    )
    if not well_formed:
        raise ConversionError(f"holds a tensor of shape {shape} with strides {strides} at {offset}")
    return Tensor(storage, offset, shape, strides)


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _size(dims: Any = ()) -> tuple[Any, ...]:
    return tuple(dims)


# What a pickle may call, and what stands for it here.
ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
}


class PickleStream:
    """A file as an unpickler wants it. One pickle reads at most MAX_PICKLE_BYTES."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.position = 0
        self.limit = 0

    def read(self, count: int = -1) -> bytes:
        end = len(self.data) if count < 0 else min(self.position + count, len(self.data))
        if end > self.limit:
            raise ConversionError(f"holds a pickle of more than {MAX_PICKLE_BYTES >> 20} MiB")
        piece = bytes(self.data[self.position : end])
        self.position = end
        return piece

    def readline(self) -> bytes:
        line = bytearray()
        while not line.endswith(b"\n") and (byte := self.read(1)):
            line += byte
        return bytes(line)

    def load(self, storages: dict[str, Storage] | None = None) -> Any:
        """The next pickle. Whatever a broken one throws becomes a `ConversionError`."""
        self.limit = self.position + MAX_PICKLE_BYTES
        try:
            return TensorUnpickler(self, storages).load()
        except ConversionError:
            raise
        except EOFError:
            raise ConversionError("ends in the middle of a pickle") from None
        except Exception as error:  # a broken pickle can raise anything
            raise ConversionError(f"holds a broken pickle ({error})") from None


class TensorUnpickler(pickle.Unpickler):
    """Admits tensors, dictionaries and plain values. Collects the storages that tensors name."""

    def __init__(self, stream: PickleStream, storages: dict[str, Storage] | None) -> None:
        super().__init__(stream)
        self.storages = storages

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in STORAGE_DTYPES:
            return STORAGE_DTYPES[name]
        if (module, name) in ADMITTED:
            return ADMITTED[module, name]
        raise ConversionError(
            f"holds {module}.{name}; only tensors and dictionaries of them are admitted"
        )

    def persistent_load(self, pid: Any) -> Storage:
        # Legacy files add a sixth field, which says whether the storage is a view of another one.
        # PyTorch has not written such views since 0.4.
        match pid:
            case ("storage", DType() as dtype, str() as key, _, int() as numel, *rest) if (
                self.storages is not None and numel >= 0 and rest in ([], [None])
            ):
                storage = self.storages.setdefault(key, Storage(key, dtype, numel))
                if (storage.dtype, storage.numel) != (dtype, numel):
                    raise ConversionError(f"describes storage {key!r} in two ways")
                return storage
            case _:
                raise ConversionError(f"refers to {pid!r}, which is no storage")


def read_legacy(data: memoryview) -> Any:
    """What the checkpoint in `data` holds, in the format from before PyTorch 1.6."""
    stream = PickleStream(data)
    try:
        magic = stream.load()
    except ConversionError:
        magic = None
    if magic != LEGACY_MAGIC:
        raise ConversionError("is not a PyTorch checkpoint")
    protocol = stream.load()
    if protocol != LEGACY_PROTOCOL:
        raise ConversionError(f"has protocol {protocol!r} instead of {LEGACY_PROTOCOL}")
    system = stream.load()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ConversionError("was not written on a little-endian machine")
    storages: dict[str, Storage] = {}
    content = stream.load(storages)
    keys = stream.load()
    if not isinstance(keys, list) or set(map(str, keys)) != set(storages):
        raise ConversionError("lists other storages than its tensors use")

    # Each storage: its number of elements (8 bytes), then the elements.
    position = stream.position
    for key in keys:
        storage = storages[key]
        start = position + 8
        position = start + storage.nbytes
        if position > len(data):
            raise ConversionError(
                f"is cut short: storage {key!r} should end at byte {position},"
                f" the file ends at {len(data)}"
            )
        numel = int.from_bytes(data[start - 8 : start], "little")
        if numel != storage.numel:
            raise ConversionError(
                f"has {numel} elements in storage {key!r}, and its tensors expect {storage.numel}"
            )
        storage.data = data[start:position]
    return content


def read_zip(archive: zipfile.ZipFile) -> Any:
    """What the checkpoint in `archive` holds, in the format that PyTorch writes since 1.6."""
    members = {member.filename: member for member in archive.infolist()}
    pickles = [name for name in members if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise ConversionError("is not a PyTorch checkpoint (a zip file without data.pkl)")
    folder = pickles[0].removesuffix("data.pkl")
    byte_order = f"{folder}byteorder"
    if byte_order in members and archive.read(byte_order) != b"little":
        raise ConversionError("was not written on a little-endian machine")

    if members[pickles[0]].file_size > MAX_PICKLE_BYTES:
        raise ConversionError(f"holds a pickle of more than {MAX_PICKLE_BYTES >> 20} MiB")
    storages: dict[str, Storage] = {}
    content = PickleStream(memoryview(archive.read(pickles[0]))).load(storages)
    for key, storage in storages.items():
        member = members.get(f"{folder}data/{key}")
        if member is None:
            raise ConversionError(f"lacks storage {key!r}")
        if member.file_size != storage.nbytes:
            raise ConversionError(
                f"has {member.file_size} bytes in storage {key!r},"
                f" and its tensors expect {storage.nbytes}"
            )
        storage.data = memoryview(archive.read(member))
    return content


def read_checkpoint(path: str) -> dict[str, Tensor]:
    """The tensors of the state dict in the file `path`, by name, sorted."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise ConversionError("is empty")
        if zipfile.is_zipfile(file):
            try:
                with zipfile.ZipFile(file) as archive:
                    content = read_zip(archive)
            except zipfile.BadZipFile as error:
                raise ConversionError(f"is a damaged zip file ({error})") from None
        else:
            file.seek(0)
            if file.read(4) == b"PK\x03\x04":
                raise ConversionError("is cut short: a zip file without its end")
            # The map lives on in the tensors' views of it.
            content = read_legacy(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
    return state_dict(content)


def state_dict(content: Any) -> dict[str, Tensor]:
    """The tensors by name out of `content`, which may keep them under "state_dict"."""
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise ConversionError(f"holds a {type(content).__name__} instead of a state dict")
    for name, value in content.items():
        if not isinstance(name, str):
            raise ConversionError(f"has the key {name!r}, which is no name of a tensor")
        if not isinstance(value, Tensor):
            raise ConversionError(f"has a {type(value).__name__} under {name!r} and no tensor")
        value.check()
    return dict(sorted(content.items()))


def write_safetensors(tensors: dict[str, Tensor], path: str) -> None:
    """Writes `tensors` to the file `path`, which appears complete or not at all."""
    # Wide elements come first, so that every tensor is aligned to its own elements.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.size, name))
    offsets, end = {}, 0
    for name in order:
        offsets[name] = [end, end + tensors[name].nbytes]
        end += tensors[name].nbytes
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": tensor.dtype.name,
            "shape": tensor.shape,
            "data_offsets": offsets[name],
        }
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % 8)
    if len(encoded) > MAX_HEADER_BYTES:
        raise ConversionError(f"needs a header of {len(encoded)} bytes, too many")

    aside = f"{path}.part"
    try:
        with open(aside, "wb") as file:
            file.write(len(encoded).to_bytes(8, "little"))
            file.write(encoded)
            for name in order:
                for piece in tensors[name].pieces():
                    file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        if os.path.exists(aside):
            os.unlink(aside)
        raise


def print_tensors(tensors: dict[str, Tensor]) -> None:
    width = max(map(len, tensors), default=0)
    for name, tensor in tensors.items():
        print(f"{name:<{width}}  {tensor.dtype.name:<4}  {list(tensor.shape)}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Turn a PyTorch checkpoint into a safetensors file, without PyTorch."
    )
    parser.add_argument("input", metavar="IN.pth", help="the checkpoint, a state dict")
    parser.add_argument("output", metavar="OUT.safetensors", nargs="?", help="the file to write")
    parser.add_argument("--list", action="store_true", help="print names, types and shapes")
    options = parser.parse_args(arguments)
    if not options.list and options.output is None:
        parser.error("OUT.safetensors is missing (or use --list)")
    try:
        tensors = read_checkpoint(options.input)
        if options.list:
            print_tensors(tensors)
        if options.output is not None:
            write_safetensors(tensors, options.output)
    except ConversionError as error:
        print(f"{options.input} {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        print(f"{error.filename or options.input}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
