"""What users of PyTorch would run in place of this project; `timing` says what is printed.

Weights are random and images are noise: neither changes how long the arithmetic takes.
"""

from __future__ import annotations

import argparse
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from timing import repeat

BATCH = 32
# Images of the study's training folder, a fifth of them set aside.
TRAINING, VALIDATION, TEST = 32, 8, 744
LAST_CHANNELS = torch.channels_last


def backbone(name: str) -> nn.Module:
    """Without its classifier; the output is pooled."""
    if name == "resnet50":
        import torchvision

        network = torchvision.models.resnet50(weights=None)
        network.fc = nn.Identity()
        return network
    import timm

    full = {"lite0": "tf_efficientnet_lite0", "inception": "inception_resnet_v2"}[name]
    return timm.create_model(full, pretrained=False, num_classes=0)


def run_pass(arguments: argparse.Namespace) -> None:
    """A frozen backbone on images in memory."""
    network = backbone(arguments.network).eval().requires_grad_(False)
    images = torch.randn(BATCH, 3, arguments.side, arguments.side)
    if arguments.tuned:
        network = folded(network)
    if arguments.tuned or arguments.compile or arguments.network != "resnet50":
        network = network.to(memory_format=LAST_CHANNELS)
        images = images.contiguous(memory_format=LAST_CHANNELS)
    if arguments.compile:
        network = torch.compile(network)

    def forward() -> torch.Tensor:
        bf16 = torch.autocast("cpu", torch.bfloat16, enabled=arguments.bf16)
        with torch.inference_mode(), bf16:
            return network(images)

    repeat(forward, BATCH, arguments.repetitions, warm=2 if arguments.compile else 1)


def folded(network: nn.Module) -> nn.Module:
    """Normalisations folded into the convolutions, where torch.fx can read the network."""
    from torch.fx.experimental import optimization

    return optimization.fuse(network)


def run_decode(arguments: argparse.Namespace) -> None:
    files = sorted(Path(arguments.folder).rglob("*.jpg"))
    torch.set_num_threads(1)

    def pillow(file: Path) -> object:
        import numpy
        from PIL import Image

        with Image.open(file) as image:
            size = (arguments.side, arguments.side)
            return numpy.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR))

    def torchvision(file: Path) -> object:
        from torchvision.io import ImageReadMode, decode_jpeg, read_file
        from torchvision.transforms.v2.functional import resize

        image = decode_jpeg(read_file(str(file)), mode=ImageReadMode.RGB)
        return resize(image, [arguments.side, arguments.side], antialias=True)

    one = {"pillow": pillow, "torchvision": torchvision}[arguments.network]
    with ThreadPoolExecutor(arguments.threads) as pool:
        repeat(lambda: list(pool.map(one, files)), len(files), arguments.repetitions)


def run_head(arguments: argparse.Namespace) -> None:
    """One run: a dense unit on cached features, with Adam, plateaus, early stopping and a test set."""
    features, epochs, steps = arguments.features, arguments.epochs, 100
    training = torch.randn(TRAINING, features)
    validation = torch.randn(VALIDATION, features)
    test = torch.randn(min(TEST, 744 if features < 10_000 else 40), features)
    labels = (torch.arange(TRAINING) % 2).float().unsqueeze(1)
    asked = (torch.arange(VALIDATION) % 2).float().unsqueeze(1)

    def run() -> float:
        head = nn.Linear(features, 1)
        optimizer = torch.optim.Adam(head.parameters(), 1e-4)
        plateaus = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=0.5, patience=5, min_lr=1e-6
        )
        best, kept = float("inf"), {}
        for _ in range(epochs):
            for _ in range(steps):
                chosen = torch.randperm(TRAINING)[:BATCH]
                loss = functional.binary_cross_entropy_with_logits(
                    head(training[chosen]), labels[chosen]
                )
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                logits = head(validation)
                seen = functional.binary_cross_entropy_with_logits(logits, asked).item()
            plateaus.step(seen)
            if seen < best:
                best = seen
                kept = {name: value.clone() for name, value in head.state_dict().items()}
        head.load_state_dict(kept)
        with torch.no_grad():
            return (head(test) > 0).float().mean().item()

    repeat(run, 1, arguments.repetitions)


def run_block(arguments: argparse.Namespace) -> None:
    """The last block of ResNet50 and a head, from the block's cached input; normalisations train too."""
    block = backbone("resnet50").layer4[2].train()
    network = nn.Sequential(block, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1))
    inputs = torch.randn(BATCH, 2048, 7, 7)
    labels = (torch.arange(BATCH) % 2).float().unsqueeze(1)
    if arguments.tuned:
        network = network.to(memory_format=LAST_CHANNELS)
        inputs = inputs.contiguous(memory_format=LAST_CHANNELS)
    optimizer = torch.optim.Adam(network.parameters(), 1e-4)

    def step() -> None:
        loss = functional.binary_cross_entropy_with_logits(network(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def steps() -> None:
        for _ in range(5):
            step()

    repeat(steps, 5, arguments.repetitions)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    work = {"pass": run_pass, "decode": run_decode, "head": run_head, "block": run_block}
    parser.add_argument("work", choices=work)
    parser.add_argument("network", nargs="?", default="resnet50")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--folder")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.manual_seed(1)
    torch.set_num_threads(arguments.threads)
    torch.set_num_interop_threads(1)
    work[arguments.work](arguments)


if __name__ == "__main__":
    main()
