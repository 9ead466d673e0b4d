"""Break the package one line at a time, and see that the tests notice: ``make mutants``.

    python -m tests.mutants          all of them
    python -m tests.mutants G4 G6    those of some guarantees

The tree is copied first; nothing is changed where it stands.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.mutants.mutants import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("prom_faust", "agents", "tests", "docs", "pyproject.toml", "README.md")
FAILED = 1
"""pytest's exit code when tests ran and failed; any other means that they did not run."""


def copy_tree(target: Path) -> None:
    """Copy what the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def run(tree: Path, tests: Iterable[str]) -> tuple[int, str]:
    """Run tests in a tree: pytest's exit code, and the end of its output: what failed, and how many."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    failures = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return done.returncode, "\n".join([*failures, *lines[-1:]])


def mutated(tree: Path, mutant: Mutant) -> tuple[int, str]:
    """Run a mutant's tests on it, and put the line back."""
    file = tree / "prom_faust" / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        return 0, f"the line is there {text.count(mutant.old)} times"
    file.write_text(text.replace(mutant.old, mutant.new))
    try:
        return run(tree, mutant.tests)
    finally:
        file.write_text(text)


def main(guarantees: list[str]) -> int:
    """Run the mutants; 1 if one survives, or if the tests fail without any."""
    console = Console(width=None if sys.stdout.isatty() else 140)
    chosen = [mutant for mutant in MUTANTS if not guarantees or mutant.guarantee in guarantees]
    table = Table("", "mutant", "verdict", "seconds", "because")
    survived = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder)
        copy_tree(tree)
        began = time.monotonic()
        code, last = run(tree, sorted({test for mutant in chosen for test in mutant.tests}))
        console.print(f"as it is: {last} ({time.monotonic() - began:.0f} s)")
        if code != 0:
            console.print("the tests must pass before anything is broken")
            return 1
        for number, mutant in enumerate(chosen, start=1):
            began = time.monotonic()
            code, last = mutated(tree, mutant)
            killed = code == FAILED
            survived += not killed
            seconds = f"{time.monotonic() - began:.0f}"
            verdict = "killed" if killed else f"[bold red]SURVIVED[/] {last}"
            table.add_row(mutant.guarantee, mutant.name, verdict, seconds, mutant.why)
            console.print(f"{number}/{len(chosen)} {mutant.guarantee} {mutant.name}: {verdict}, {seconds} s")
    console.print(table)
    console.print(f"{len(chosen) - survived} of {len(chosen)} mutants are killed")
    return int(survived > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
