"""Repeats a piece of work and prints a JSON line for each time; for the peers, which know no more of us."""

from __future__ import annotations

import json
import time
from collections.abc import Callable


def repeat(work: Callable[[], object], units: float, repetitions: int, warm: int = 1) -> None:
    """`units` is how much of the row's unit one call of `work` does."""
    for _ in range(warm):
        work()
    for _ in range(repetitions):
        begun, used = time.perf_counter(), time.process_time()
        work()
        say(units, time.perf_counter() - begun, time.process_time() - used)


def say(units: float, seconds: float, processor_seconds: float) -> None:
    line = {"units": units, "seconds": seconds, "processor_seconds": processor_seconds}
    print(json.dumps(line), flush=True)
