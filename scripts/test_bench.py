"""Tests of what scripts/bench does with measurements; nothing is measured here."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

from benchmarks import plot, sweeps
from benchmarks.rows import Contestant, Place, Row, rows
from benchmarks.samples import Record, Sample
from benchmarks.table import HEAD, number, table

OURS, PEER = Contestant("sweep", ("a",)), Contestant("peer", ("b",))
ROW = Row("passes", "images", OURS, (PEER,), "the best peer")


class BenchTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "samples.jsonl"

    def record(self, setting: dict | None = None, fresh: bool = False) -> Record:
        return Record(self.path, setting or {"commit": "a"}, fresh)

    def test_a_call_that_was_cut_off_goes_on(self) -> None:
        self.record().add("passes", "sweep", 0, [Sample(32, 2.0, 3.0)])
        with self.path.open("a") as file:
            file.write('{"row": "passes", "contest')
        again = self.record()
        self.assertEqual(again.found, 1)
        self.assertTrue(again.has("passes", "sweep", 0))
        self.assertFalse(again.has("passes", "peer", 0))
        again.add("passes", "peer", 0, [Sample(32, 4.0)])
        self.assertEqual(self.record().found, 2)

    def test_what_was_measured_otherwise_is_forgotten(self) -> None:
        for setting, fresh, done in [({"commit": "b"}, False, False), (None, True, False), (None, False, True)]:
            record = self.record(fresh=True)
            record.add("passes", "sweep", 0, [Sample(32, 2.0)])
            if done:
                record.done()
            self.assertEqual(self.record(setting, fresh).found, 0, (setting, fresh, done))

    def test_the_table_has_medians_spread_and_ratios(self) -> None:
        record = self.record()
        record.add("passes", "sweep", 0, [Sample(30, 1.0, 1.5), Sample(30, 3.0, 1.5)])
        record.add("passes", "sweep", 1, [Sample(30, 2.0, 1.5, 3 * 2**29)])
        record.add("passes", "peer", 0, [Sample(30, 4.0, 6.0)])
        self.assertEqual(
            table([ROW], record).splitlines()[len(HEAD) :],
            [
                "| passes | 15 images/s (10 - 30), 1.50 GiB | peer | 7.5 images/s (7.5 - 7.5)"
                " | 2.00 | 4.00 | the best peer |"
            ],
        )

    def test_without_peers_there_are_no_ratios(self) -> None:
        record = self.record()
        record.add("passes", "sweep", 0, [Sample(30, 1.0)])
        last = table([ROW], record).splitlines()[-1]
        self.assertEqual(last, "| passes | 30 images/s (30 - 30) |  |  |  |  | the best peer |")

    def test_numbers_are_short(self) -> None:
        for value, expected in [(0.012345, "0.0123"), (23.456, "23.5"), (2034.5, "2,034")]:
            self.assertEqual(number(value), expected)

    def test_rows_have_names_of_their_own(self) -> None:
        python = Path("python")
        for peers in [{}, {"torch": python, "keras": python}]:
            place = Place(self.folder, self.folder, self.folder, 2, **peers)
            made = rows(place)
            self.assertEqual(len({row.name for row in made}), len(made))
            self.assertTrue(any(row.quick for row in made))
            for row in made:
                names = [peer.name for peer in (row.ours, *row.peers)]
                self.assertEqual(len(set(names)), len(names), row.name)


class Plot(unittest.TestCase):
    def test_points_are_those_of_the_table(self):
        table = (
            "| what | ours | peer | theirs |\n"
            "| 10 runs beside 1, X | 2 runs/s (2 - 2), 1 GiB | 1 runs | 0.5 runs/s (0.5 - 0.5) |\n"
            "| 1000 runs beside 10, X | 1,000 runs/s (1 - 1) | 10 runs | 9 runs/s (9 - 9) |\n"
            "| 200 heads | 142 runs/s | sweep --no-fuse | 4 runs/s |\n"
            "| 400 images beside 100, X | 200 images/s (1 - 1) | 100 images | 100 images/s (9 - 9) |\n"
        )
        for unit, expected in [("runs", {1: 2.0, 10: 5.0, 1000: 1.0}), ("images", {100: 1.0, 400: 2.0})]:
            points = plot.seconds(table, unit)
            self.assertEqual(points, expected)
            self.assertEqual(plot.svg(points, unit).count("<circle"), len(expected))


class Memory(unittest.TestCase):
    def test_what_a_process_has_started_counts_with_it(self) -> None:
        script = "sleep 60 & echo started; wait"
        with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, process_group=0) as shell:
            shell.stdout.readline()
            processes = sweeps.tree(shell.pid)
            self.assertEqual(len(processes), 2)
            self.assertTrue(all(sweeps.resident(process) > 0 for process in processes))
            os.killpg(shell.pid, signal.SIGTERM)
        self.assertEqual(sweeps.resident(shell.pid), 0)


if __name__ == "__main__":
    unittest.main()
