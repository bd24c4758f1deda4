"""`scripts/test` and its option, with programs that only say how they were called."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(*arguments: str) -> tuple[int, str]:
    """Its exit code, and what the tests that it started found in `SWEEP_TEST_LONG`."""
    with tempfile.TemporaryDirectory() as folder:
        scripts = Path(folder, "scripts")
        programs = Path(folder, "programs")
        for place in (scripts, programs):
            place.mkdir()
        shutil.copy(HERE / "test", scripts)
        (scripts / "env").touch()
        said = Path(folder, "said")
        for program in (
            scripts / "setup",
            scripts / "setup_slurm",
            scripts / "setup_chromium",
            scripts / "lint-workflows",
            programs / "cargo",
            programs / "python3",
        ):
            program.write_text(f'#!/bin/sh\necho "$1 ${{SWEEP_TEST_LONG-short}}" >> {said}\n')
            program.chmod(0o755)
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
        environment.pop("SWEEP_TEST_LONG", None)
        ran = subprocess.run(
            [scripts / "test", *arguments],
            env=environment,
            capture_output=True,
            check=False,
        )
        return ran.returncode, said.read_text() if said.exists() else ""


class Test(unittest.TestCase):
    def test_long_forms_run_where_they_are_asked_for(self) -> None:
        for arguments, form in (([], "short"), (["--long"], "1")):
            code, said = run(*arguments)
            self.assertEqual(code, 0)
            self.assertIn(f"test {form}\n", said)

    def test_nothing_starts_with_an_option_that_is_not_there(self) -> None:
        self.assertEqual(run("--lnog"), (2, ""))


if __name__ == "__main__":
    unittest.main()
