"""Quix Streams and its MongoDB sink: a program of its own, in a virtual environment of its own.

Quix Streams holds pydantic and others below the versions that we are measured with, so it cannot share ours.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.servers import MissingError, cache
from benchmarks.settings import RunSettings
from benchmarks.workload import COLLECTION, topic_of
from prom_faust.local.lock import exclusive
from prom_faust.local.progress import Progress, silent

__all__ = ["QUIX_VERSION", "prepare_quix", "quix_command"]

QUIX_VERSION = "3.28.1"
REQUIREMENT = f"quixstreams[mongodb]=={QUIX_VERSION}"
PROGRAM = Path(__file__).parent / "apps" / "quix_sink.py"


def prepare_quix(progress: Progress = silent) -> Path:
    """The Python of the environment, which is made where it is missing.

    Raises:
        MissingError: it cannot be made.
    """
    folder = cache() / f"quixstreams-{QUIX_VERSION}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists():
        return python
    with exclusive(cache() / ".lock", purpose=f"installing {REQUIREMENT}", progress=progress):
        if not complete.exists():
            progress(f"installing {REQUIREMENT}, once")
            shutil.rmtree(folder, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(folder))
            _run(str(python), "-m", "pip", "install", "--quiet", REQUIREMENT)
            complete.touch()
    return python


def _run(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise MissingError(f"{REQUIREMENT} cannot be installed: {' '.join(command)}\n{result.stderr.strip()}")


def quix_command(run: RunSettings) -> Sequence[str]:
    """The command of a run; where the program keeps its state is a folder of its own."""
    return [
        str(prepare_quix()),
        str(PROGRAM),
        run.bootstrap,
        topic_of(run.workload),
        run.name,
        run.mongo.removeprefix("mongodb://"),
        run.database,
        COLLECTION,
        str(run.report.with_suffix("")),
    ]
