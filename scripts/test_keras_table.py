"""docs/keras.md names tests that are there."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NAMED = re.compile(r"`((?:\w+::)+\w+)`")


def sources() -> str:
    files = [*ROOT.glob("crates/*/src/**/*.rs"), *ROOT.glob("crates/*/tests/*.rs")]
    return "\n".join(file.read_text() for file in files)


def missing(table: str, code: str) -> list[str]:
    """Names whose last part is neither a function, a module's tests nor a case of a table of tests."""
    gone = []
    for name in NAMED.findall(table):
        path, last = name.split("::")[:-1], name.split("::")[-1]
        if last == "tests":
            found = any(ROOT.glob(f"crates/*/src/{'/'.join(path)}.rs"))
        elif path == ["bad_sweep_files"]:
            snapshots = ROOT / "crates" / "spec" / "tests" / "snapshots"
            found = (snapshots / f"bad_sweep_files__{last}.snap").exists()
        else:
            found = f"fn {last}(" in code
        if not found:
            gone.append(name)
    return gone


class KerasTable(unittest.TestCase):
    def test_every_test_that_is_named_is_there(self):
        table = (ROOT / "docs" / "keras.md").read_text()
        self.assertGreater(len(NAMED.findall(table)), 20)
        self.assertEqual(missing(table, sources()), [])

    def test_a_name_that_is_not_there_is_told(self):
        invented = "`loss::tests::nobody_has_written_this` `bad_sweep_files::nor_this` `nothing::tests`"
        self.assertEqual(len(missing(invented, sources())), 3)


if __name__ == "__main__":
    unittest.main()
