"""Times `sweep run` as users call it; a row's command, which prints one JSON line for each repetition.

Weights are drawn, so that backbones need no download: how good scores are is not measured here.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path


# The source document's rows of its pooled model that leave the backbone frozen.
STUDY = {
    "batch_size": "[16, 32, 64]",
    "epochs": "[50, 100]",
    "learning_rate": "[1e-4, 5e-3]",
    "patience": "[5, 10, 15]",
    "steps_per_epoch": "[50, 100, 150]",
}
# Of an epoch, unless a row says otherwise.
STEPS = 100
# Images that `sweep data synth` draws for training.
TRAINING = 40
# Seconds between two looks at memory.
LOOK_EVERY = 0.02
STOPS = {"early_stopping": ["patience = 10"], "reduce_lr_on_plateau": ["patience = 5"]}


@dataclass(frozen=True)
class Ran:
    """What a command took, all of its processes together."""

    seconds: float
    processor_seconds: float
    peak_bytes: int

    def say(self, units: float) -> None:
        print(json.dumps({"units": units, **vars(self)}), flush=True)


def sweep(arguments: argparse.Namespace, *words: str) -> Ran:
    """Runs it to its end. The runs' workers are its children, and count with it."""
    command = [str(arguments.built / "sweep"), *words, "--quiet"]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak = Peak(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"`{' '.join(command)}` failed with exit code {process.returncode}")
    # What grows and shrinks between two looks is seen by the kernel, of the largest process alone.
    memory = max(peak.end(), usage.ru_maxrss * 1024)
    return Ran(seconds, usage.ru_utime + usage.ru_stime, memory)


class Peak:
    """The most memory that a process and its descendants have together, looked at every now and then.

    Pages that several of them map count for each.
    """

    def __init__(self, root: int) -> None:
        self._root, self._most, self._over = root, 0, threading.Event()
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    def end(self) -> int:
        """In bytes."""
        self._over.set()
        self._looking.join()
        return self._most

    def _look(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            self._most = max(self._most, sum(map(resident, tree(self._root))))


def tree(root: int) -> list[int]:
    """A process and its descendants, as far as they still are."""
    found = [root]
    for process in found:
        for file in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += map(int, file.read_text().split())
            except OSError:
                continue
    return found


def resident(process: int) -> int:
    """Bytes of a process that are in memory; 0 when it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * resource.getpagesize()


def write(
    arguments: argparse.Namespace,
    name: str,
    *,
    seeds: int = 1,
    epochs: int = 50,
    steps: int = STEPS,
    factor: str = "",
    stops: bool = False,
    test: bool = True,
) -> Path:
    """A sweep file on the plates, with drawn weights. Where it `stops` early, it does as the study does."""
    sections = {
        "": [f"strategy = {quoted('ofat')}", f"replicates = {seeds}"],
        "data": [f"train = {quoted(arguments.plates / 'train')}", f"image_size = {arguments.side}"],
        "model": [
            f"backbone = {quoted(arguments.backbone)}",
            f"weights = {quoted(drawn(arguments, arguments.backbone))}",
            f"pooling = {quoted(arguments.pooling)}",
            'freeze = "all"',
        ],
        "train": [f"epochs = {epochs}", f"steps_per_epoch = {steps}"],
    }
    if test:
        sections["data"].append(f"test = {quoted(arguments.plates / 'test')}")
    if stops:
        sections |= STOPS
    if factor:
        sections["factors"] = [factor]
    lines = []
    for section, keys in sections.items():
        lines += [f"[{section}]"] if section else []
        lines += keys
    file = arguments.scratch / f"{name}.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


def quoted(value: object) -> str:
    """As TOML has it; JSON's strings are its strings."""
    return json.dumps(str(value))


def drawn(arguments: argparse.Namespace, backbone: str) -> Path:
    """Random weights, the same ones every time."""
    file = arguments.scratch / f"{backbone}.safetensors"
    if not file.exists():
        part = file.with_suffix(".part")
        program = arguments.built / "examples" / "measure"
        subprocess.run([str(program), "draw", backbone, str(part)], check=True)
        part.rename(file)
    return file


def emptied(folder: Path, but: str | None = None) -> Path:
    """Without what an earlier repetition left there, but for one entry."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in folder.iterdir():
        if entry.name == but:
            continue
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    return folder


def results(arguments: argparse.Namespace, name: str) -> Path:
    return arguments.scratch / f"results-{name}"


def heads(arguments: argparse.Namespace) -> None:
    """Heads on features that are in the cache: a run of one step has computed them."""
    name = f"heads-{arguments.backbone}-{arguments.pooling}"
    rates = ", ".join(f"{level}e-4" for level in range(1, arguments.levels + 1))
    factor = f"learning_rate = [{rates}]" if arguments.levels > 1 else ""
    many = {"seeds": arguments.seeds, "epochs": arguments.epochs, "factor": factor}
    file = write(arguments, name, **many, test=False)
    once = write(arguments, f"{name}-once", epochs=1, steps=1, test=False)
    folder = results(arguments, name)
    fuse = ["--no-fuse"] if arguments.no_fuse else []
    for _ in range(arguments.repetitions):
        emptied(folder, but="cache")
        sweep(arguments, "run", str(once), "--results", str(folder))
        ran = sweep(arguments, "run", str(file), "--results", str(folder), *fuse)
        took_all_steps(folder, arguments.levels * arguments.seeds, arguments.epochs * STEPS)
        ran.say(arguments.levels * arguments.seeds)


def took_all_steps(folder: Path, runs: int, steps: int) -> None:
    """The peers never stop early, so that a run which did would be no match for theirs."""
    results = [json.loads(file.read_text()) for file in folder.glob("runs/*/result.json")]
    whole = sum(result.get("updates") == steps for result in results)
    if whole < runs:
        sys.exit(f"{whole} of {runs} runs in {folder} took all of their {steps} steps")


def study(arguments: argparse.Namespace) -> None:
    """All runs from nothing, or, for comparison, one run of one step: little more than the pass."""
    if getattr(arguments, "pass"):
        files = [write(arguments, "pass", epochs=1, steps=1)]
    else:
        files = [
            write(arguments, f"study-{name}", seeds=10, factor=f"{name} = {levels}", stops=True)
            for name, levels in STUDY.items()
        ]
    folder = emptied(results(arguments, "study"))
    ran = sweep(arguments, "run", *map(str, files), "--results", str(folder))
    if not getattr(arguments, "pass"):
        images = sum(map(trained_on, folder.glob("runs/*")))
        file = arguments.scratch / f"study-{arguments.backbone}-steps.json"
        file.write_text(json.dumps({"images": images}))
    ran.say(1)


def trained_on(run: Path) -> int:
    """Images that its batches showed, each as often as it was shown; what of them stopped early is left out."""
    config = json.loads((run / "config.json").read_text())["config"]
    return json.loads((run / "result.json").read_text())["updates"] * config["train"]["batch_size"]


def grow(arguments: argparse.Namespace) -> None:
    """So many runs from nothing."""
    file = write(arguments, f"grow-{arguments.runs}", seeds=arguments.runs)
    folder = emptied(results(arguments, "grow"))
    sweep(arguments, "run", str(file), "--results", str(folder)).say(arguments.runs)


def images(arguments: argparse.Namespace) -> None:
    """One run of one step on so many synthetic plates, from nothing: little more than the pass."""
    plates = arguments.scratch / f"plates-{arguments.images}"
    if not plates.exists():
        command = [arguments.built / "sweep", "data", "synth", plates, "--test", arguments.images - TRAINING]
        subprocess.run(list(map(str, command)), check=True, stderr=subprocess.DEVNULL)
    arguments.plates = plates
    file = write(arguments, f"images-{arguments.images}", epochs=1, steps=1)
    folder = emptied(results(arguments, "images"))
    sweep(arguments, "run", str(file), "--results", str(folder)).say(arguments.images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    work = {"heads": heads, "study": study, "grow": grow, "images": images}
    parser.add_argument("work", choices=work)
    parser.add_argument("--built", type=Path, required=True)
    parser.add_argument("--plates", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--pooling", default="gap")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--levels", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--images", type=int, default=784)
    parser.add_argument("--no-fuse", action="store_true")
    parser.add_argument("--pass", action="store_true")
    parser.add_argument("--repetitions", type=int, default=1)
    arguments = parser.parse_args()
    arguments.scratch.mkdir(parents=True, exist_ok=True)
    work[arguments.work](arguments)


if __name__ == "__main__":
    main()
