"""What is measured, of whom, and what is to be reached."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent

# Keeps PyTorch's memory in the heap, as ours is: glibc gives large blocks back to the system after
# each layer, and fresh pages cost PyTorch on CPU up to half of its time.
KEPT_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}


@dataclass(frozen=True)
class Contestant:
    """A command that prints a JSON line for each repetition."""

    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Row:
    """Something to do, ours first."""

    name: str
    unit: str
    ours: Contestant
    peers: tuple[Contestant, ...] = ()
    to_reach: str = ""
    # Part of a run that takes about a minute.
    quick: bool = False


@dataclass(frozen=True)
class Place:
    """Where things are, and who takes part."""

    built: Path
    plates: Path
    scratch: Path
    threads: int
    torch: Path | None = None
    keras: Path | None = None


def rows(place: Place) -> list[Row]:
    """All of them, whether or not peers take part."""
    found = [*passes(place), batches(place), decoding(place), *heads(place)]
    found += [last_block(replace(place, threads=threads)) for threads in sorted({1, place.threads})]
    return found + [*studies(place), *growth(place), *more_images(place)]


def measure(place: Place, *arguments: str) -> Contestant:
    """One of the worker's inner pieces by itself."""
    program = str(place.built / "examples" / "measure")
    command = (program, *arguments, "--threads", str(place.threads))
    return Contestant("sweep", command, {"OMP_NUM_THREADS": str(place.threads)})


def sweep(place: Place, *arguments: str, name: str = "sweep") -> Contestant:
    """The program as users run it."""
    program = (sys.executable, "-m", "benchmarks.sweeps", *arguments)
    folders = ("--built", place.built, "--plates", place.plates, "--scratch", place.scratch)
    return Contestant(name, (*program, *map(str, folders)))


def torch(place: Place, name: str, *arguments: str, kept: bool = False) -> list[Contestant]:
    return peer(place.torch, "peer_torch.py", name, place.threads, arguments, kept)


def keras(place: Place, name: str, *arguments: str) -> list[Contestant]:
    return peer(place.keras, "peer_keras.py", name, place.threads, arguments, kept=False)


def peer(
    python: Path | None,
    script: str,
    name: str,
    threads: int,
    arguments: tuple[str, ...],
    kept: bool,
) -> list[Contestant]:
    """None where the peer does not take part."""
    if python is None:
        return []
    environment = {"OMP_NUM_THREADS": str(threads), **(KEPT_MEMORY if kept else {})}
    command = (str(python), str(SCRIPTS / script), *arguments, "--threads", str(threads))
    return [Contestant(name, command, environment)]


def passes(place: Place) -> list[Row]:
    """Frozen backbones on images that are in memory."""
    lite = Row(
        "EfficientNet-Lite0, 224, fp32, frozen",
        "images",
        measure(place, "pass", "efficientnet_lite0"),
        (*torch(place, "PyTorch (timm), channels_last", "pass", "lite0", kept=True),),
        quick=True,
    )
    single = Row(
        "ResNet50, 224, fp32, frozen",
        "images",
        measure(place, "pass", "resnet50"),
        (
            *torch(place, "PyTorch as it comes", "pass", "resnet50"),
            *torch(place, "PyTorch, torch.compile", "pass", "resnet50", "--compile"),
            *torch(place, "PyTorch, tuned by hand", "pass", "resnet50", "--tuned", kept=True),
            *keras(place, "Keras", "pass", "resnet50"),
        ),
        "the best peer; 2x PyTorch as it comes",
        quick=True,
    )
    plain = Row(
        "the same against layers one by one",
        "images",
        measure(place, "pass", "resnet50"),
        (Contestant("sweep, nothing fused", measure(place, "pass", "resnet50", "--plain").command),),
    )
    half = Row(
        "ResNet50, 224, bf16, frozen",
        "images",
        measure(place, "pass", "resnet50", "--precision", "bf16"),
        (
            *torch(place, "PyTorch, torch.compile", "pass", "resnet50", "--bf16", "--compile"),
            *torch(place, "PyTorch, tuned by hand", "pass", "resnet50", "--bf16", "--tuned", kept=True),
            *keras(place, "Keras, mixed_bfloat16", "pass", "resnet50", "--bf16"),
        ),
        "0.95 of PyTorch tuned by hand; torch.compile and Keras",
        quick=True,
    )
    large = ("--side", "299")
    inception = Row(
        "Inception-ResNet-v2, 299, fp32, frozen",
        "images",
        measure(place, "pass", "inception_resnet_v2", *large, "--repetitions", "2"),
        (
            *torch(place, "PyTorch (timm), channels_last", "pass", "inception", *large),
            *keras(place, "Keras", "pass", "inception", *large),
        ),
        "Keras",
    )
    return [lite, single, plain, half, inception]


def batches(place: Place) -> Row:
    """Why the pass takes 32 images together."""

    def of(images: int) -> Contestant:
        return replace(measure(place, "pass", "resnet50", "--batch", str(images)), name=f"{images}")

    return Row(
        "ResNet50, 224, fp32, frozen, 32 images together, against others",
        "images",
        of(32),
        tuple(map(of, (8, 16, 64))),
    )


def decoding(place: Place) -> Row:
    folder = str(place.plates / "test")
    return Row(
        "decoding and resizing 744 plates to 224",
        "images",
        measure(place, "decode", folder),
        (
            *torch(place, "Pillow", "decode", "pillow", "--folder", folder),
            *torch(place, "torchvision.io", "decode", "torchvision", "--folder", folder),
            *keras(place, "tf.data", "decode", "--folder", folder),
        ),
        "the best peer",
        quick=True,
    )


def heads(place: Place) -> list[Row]:
    """Training on features that are there. A unit is a run of 50 epochs of 100 steps of 32 images."""
    many = Row(
        "200 heads on 2048 features: 20 learning rates x 10 seeds, 50 x 100 steps",
        "runs",
        sweep(place, "heads", "--backbone", "resnet50", "--levels", "20", "--seeds", "10"),
        (
            sweep(
                place,
                *("heads", "--backbone", "resnet50", "--levels", "20", "--seeds", "1", "--no-fuse"),
                name="sweep --no-fuse",
            ),
            *torch(place, "PyTorch, run by run on cached features", "head", "--features", "2048"),
        ),
        "40x PyTorch",
    )
    flatten = Row(
        "10 heads on 98,304 features: 10 seeds, 5 x 100 steps",
        "runs",
        sweep(
            place,
            *("heads", "--backbone", "inception_resnet_v2", "--pooling", "flatten", "--side", "299"),
            *("--levels", "1", "--seeds", "10", "--epochs", "5"),
        ),
        (
            *torch(
                place,
                "PyTorch, run by run on cached features",
                *("head", "--features", "98304", "--epochs", "5"),
            ),
        ),
        "3x PyTorch",
    )
    return [many, flatten]


def last_block(place: Place) -> Row:
    threads = "one thread" if place.threads == 1 else f"{place.threads} threads"
    return Row(
        f"last ten layers of ResNet50, batch 32, from cached features, {threads}",
        "steps",
        measure(place, "suffix", "resnet50_keras"),
        (
            *torch(place, "PyTorch with the same cache", "block"),
            *torch(place, "the same, channels_last", "block", "--tuned", kept=True),
            *keras(place, "Keras, no cache", "block"),
        ),
        "1.1x PyTorch; 6x Keras",
    )


def studies(place: Place) -> list[Row]:
    """The source document's study of its pooled model, without the rows that unfreeze the backbone."""
    return [
        Row(
            "the study, ResNet50, frozen rows, 10 seeds a level (784 images)",
            "studies",
            sweep(place, "study", "--backbone", "resnet50"),
            (
                sweep(place, "study", "--backbone", "resnet50", "--pass", name="one pass over the images"),
                *keras(
                    place,
                    "Keras, extrapolated from its steps",
                    *("study", "--steps", str(place.scratch / "study-resnet50-steps.json")),
                ),
            ),
            "1.5 times one pass (0.67); 4 GiB",
        ),
        Row(
            "the study, EfficientNet-Lite0, frozen rows, 10 seeds a level (784 images)",
            "studies",
            sweep(place, "study", "--backbone", "efficientnet_lite0"),
            (
                sweep(
                    place,
                    *("study", "--backbone", "efficientnet_lite0", "--pass"),
                    name="one pass over the images",
                ),
            ),
            "2 GiB",
        ),
    ]


def growth(place: Place) -> list[Row]:
    """From nothing to all scores: the pass, then so many runs."""
    backbone = ("--backbone", "efficientnet_lite0")

    def many(seeds: int) -> Contestant:
        return sweep(place, "grow", *backbone, "--runs", str(seeds), name=f"{seeds} runs")

    steps = [(1, 10), (10, 100), (100, 1000)]
    return [
        Row(f"{more} runs beside {fewer}, EfficientNet-Lite0", "runs", many(more), (many(fewer),), "1")
        for fewer, more in steps
    ]


def more_images(place: Place) -> list[Row]:
    """From nothing to one score: what a pass over more images takes for each."""

    def many(images: int) -> Contestant:
        words = ("--backbone", "efficientnet_lite0", "--images", str(images))
        return sweep(place, "images", *words, name=f"{images} images")

    return [
        Row(f"{more} images beside {fewer}, EfficientNet-Lite0", "images", many(more), (many(fewer),), "1")
        for fewer, more in [(196, 784), (784, 3136)]
    ]
