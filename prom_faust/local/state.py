"""What `prom-faust local up` writes down: which processes it started, where, and with which ports.

A process id alone names nobody for long, as systems reuse ids. So the time at which the process
began is kept beside it, and only a process with both is touched.
"""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from prom_faust.exceptions import LocalStackError

__all__ = ["ServerRecord", "find_process", "load_records", "save_records"]

# A process's begin is computed from the machine's, which moves when its clock is corrected.
_CLOCK_STEP_SECONDS = 2.0


class ServerRecord(BaseModel):
    """One server that was started, and may have ended since."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    pid: int
    created: float
    """When the process began, in seconds since the epoch."""
    port: int
    url: str
    log: Path


_Records = TypeAdapter(dict[str, ServerRecord])


def find_process(record: ServerRecord) -> psutil.Process | None:
    """Return the recorded process while it lives; None when it has ended or its id is another's now."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(record.pid)
        same = abs(process.create_time() - record.created) <= _CLOCK_STEP_SECONDS
        if same and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def load_records(path: Path) -> dict[str, ServerRecord]:
    """Return the records of the state file by server name; none when there is no file.

    Raises:
        LocalStackError: the file holds something else.
    """
    try:
        return _Records.validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError as error:
        raise LocalStackError(
            f"{path} is not a state file of prom-faust: end the servers it names by hand, then delete it"
        ) from error


def save_records(path: Path, records: Sequence[ServerRecord]) -> None:
    """Replace the state file as a whole, so a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    content = {record.name: record.model_dump(mode="json") for record in records}
    unfinished.write_text(json.dumps(content, indent=2) + "\n")
    unfinished.replace(path)
