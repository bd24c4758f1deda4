"""The command behind `scripts/bench`."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from benchmarks import machine, peers
from benchmarks.rows import Contestant, Place, Row, rows
from benchmarks.samples import Record, Sample
from benchmarks.table import table

ROOT = Path(__file__).resolve().parent.parent.parent
KEPT = ROOT / ".deps" / "bench"


class BenchError(Exception):
    """What went wrong and what to do about it."""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description="Measures the project and its peers, and prints a table of ratios."
    )
    parser.add_argument("--quick", action="store_true", help="about a minute: few rows, one round")
    parser.add_argument("--peers", action="store_true", help="fetch Keras and PyTorch, measure them too")
    parser.add_argument("--torch", type=Path, metavar="PYTHON", help="a Python that has PyTorch already")
    parser.add_argument("--keras", type=Path, metavar="PYTHON", help="a Python that has Keras already")
    parser.add_argument("--only", nargs="+", metavar="TEXT", help="rows whose name holds one of these")
    parser.add_argument("--list", action="store_true", help="print the rows and end")
    parser.add_argument("--rounds", type=int, default=3, help="times that all take their turn (3)")
    parser.add_argument("--threads", type=int, default=2, help="cores and threads for everybody (2)")
    parser.add_argument("--fresh", action="store_true", help="forget what a call that was cut off has")
    return parser.parse_args()


def main() -> None:
    arguments = parse()
    try:
        bench(arguments)
    except (BenchError, peers.PeerError) as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        print("bench: the same command goes on from here", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


def bench(arguments: argparse.Namespace) -> None:
    place = where(arguments)
    chosen = [row for row in rows(place) if is_wanted(row, arguments)]
    if not chosen:
        raise BenchError("no row has such a name; --list names them")
    if arguments.list:
        print("\n".join(row.name for row in chosen))
        return
    confine(arguments.threads)
    render(place)
    rounds = 1 if arguments.quick else arguments.rounds
    described = machine.described(arguments.threads)
    versions = versions_of(place)
    setting = {
        "commit": machine.commit(ROOT),
        "rounds": rounds,
        "rows": [row.name for row in chosen],
        "versions": versions,
        **described,
    }
    record = Record(KEPT / "samples.jsonl", setting, arguments.fresh)
    if record.found:
        say(f"{record.found} measurements are there from a call that was cut off")
    for row in chosen:
        for number in range(rounds):
            for contestant in (row.ours, *row.peers):
                if not record.has(row.name, contestant.name, number):
                    say(f"{row.name}: {contestant.name}, round {number + 1}")
                    record.add(row.name, contestant.name, number, measured(contestant, place))
    record.done()
    print(table(chosen, record))
    print()
    today = datetime.datetime.now(datetime.timezone.utc).date()
    about = [*described.values(), *versions, f"commit {setting['commit']}"]
    print(f"{today}, `./scripts/bench {' '.join(sys.argv[1:])}`: {'; '.join(about)}.")


def where(arguments: argparse.Namespace) -> Place:
    built = Path(os.environ.get("SWEEP_BENCH_BUILT", ROOT / "target" / "release")).resolve()
    torch, keras = arguments.torch, arguments.keras
    if arguments.peers and not arguments.list:
        torch = torch or peers.python_of("torch", KEPT)
        keras = keras or peers.python_of("keras", KEPT)
    return Place(built, KEPT / "plates", KEPT / "scratch", arguments.threads, torch, keras)


def is_wanted(row: Row, arguments: argparse.Namespace) -> bool:
    if arguments.only:
        return any(text in row.name for text in arguments.only)
    return row.quick or not arguments.quick


def confine(threads: int) -> None:
    """This process and all that it starts to so many cores."""
    cores = sorted(os.sched_getaffinity(0))
    if threads < 1 or threads > len(cores):
        raise BenchError(f"--threads must be from 1 to {len(cores)}, the cores that are there")
    os.sched_setaffinity(0, cores[:threads])


def render(place: Place) -> None:
    """The pictures of plates that everybody reads."""
    if place.plates.is_dir():
        return
    part = place.plates.with_suffix(".part")
    run([str(place.built / "sweep"), "data", "synth", str(part), "--quiet"])
    part.rename(place.plates)


def versions_of(place: Place) -> list[str]:
    found = []
    if place.torch:
        found += machine.versions(place.torch, ["torch", "torchvision", "timm", "pillow"])
    if place.keras:
        found += machine.versions(place.keras, ["keras", "tensorflow-cpu"])
    return found


def measured(contestant: Contestant, place: Place) -> list[Sample]:
    """Runs its command once."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "scripts"),
        "OMP_NUM_THREADS": str(place.threads),
        **contestant.environment,
    }
    lines = run(list(contestant.command), environment).splitlines()
    samples = [Sample(**json.loads(line)) for line in lines if line.startswith("{")]
    if not samples:
        raise BenchError(f"`{' '.join(contestant.command)}` measured nothing")
    return samples


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """What a command prints; its stderr is shown when it fails."""
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise BenchError(f"{command[0]} cannot be started: {error}") from error
    if done.returncode != 0:
        raise BenchError(
            f"`{' '.join(command)}` failed with exit code {done.returncode}:\n{done.stderr[-3000:]}"
        )
    return done.stdout


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
