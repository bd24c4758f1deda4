"""What was measured, kept in a file so that a call that was cut off can go on."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sample:
    """One repetition: so many units in so many seconds."""

    units: float
    seconds: float
    processor_seconds: float | None = None
    peak_bytes: int | None = None

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds

    @property
    def processor_rate(self) -> float | None:
        """Units for each second that a core worked."""
        return self.units / self.processor_seconds if self.processor_seconds else None


@dataclass(frozen=True)
class Spread:
    """The middle of some numbers, and how far they go."""

    median: float
    least: float
    most: float

    @staticmethod
    def of(numbers: list[float]) -> Spread:
        return Spread(statistics.median(numbers), min(numbers), max(numbers))


class Record:
    """Samples by row, contestant and round, in a file of JSON lines.

    The first line says what they hold for: another machine, commit or option begins anew, and so does
    the call after one that came to its end.
    """

    def __init__(self, path: Path, setting: dict, fresh: bool) -> None:
        self._path = path
        self._rounds: dict[tuple[str, str, int], list[Sample]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if fresh or not self._go_on(setting):
            self._rounds.clear()
            path.write_text(json.dumps({"setting": setting}) + "\n")
        self.found = len(self._rounds)

    def _go_on(self, setting: dict) -> bool:
        """Reads what an earlier call left. A line that was cut off is its last, and goes."""
        try:
            text = self._path.read_text()
        except FileNotFoundError:
            return False
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            self._path.write_text("".join(lines[:-1]))
            lines.pop()
        if not lines or json.loads(lines[0]) != {"setting": setting}:
            return False
        for line in lines[1:]:
            entry = json.loads(line)
            if entry == "done":
                return False
            key = (entry["row"], entry["contestant"], entry["round"])
            self._rounds[key] = [Sample(**sample) for sample in entry["samples"]]
        return True

    def has(self, row: str, contestant: str, number: int) -> bool:
        return (row, contestant, number) in self._rounds

    def add(self, row: str, contestant: str, number: int, samples: list[Sample]) -> None:
        self._rounds[row, contestant, number] = samples
        plain = [vars(sample) for sample in samples]
        entry = {"row": row, "contestant": contestant, "round": number, "samples": plain}
        self._append(entry)

    def done(self) -> None:
        """Nothing is left to measure."""
        self._append("done")

    def _append(self, entry: object) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def of(self, row: str, contestant: str) -> list[Sample]:
        """Of all rounds."""
        keys = [key for key in self._rounds if key[:2] == (row, contestant)]
        return [sample for key in keys for sample in self._rounds[key]]
