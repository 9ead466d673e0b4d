"""``faust -A hub ...`` as a user runs it."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

SLOW = re.compile(r"^Executing <.* took [\d.]+ seconds\n", re.MULTILINE)
"""Development mode tells of every step over 0.1 s, and the machine may be busy."""


async def faust(folder: Path, *args: str, app: str = "hub") -> subprocess.CompletedProcess[str]:
    development = ("-X", "dev", "-W", "ignore::DeprecationWarning")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, *development, "-m", "faust", "-A", app, *args],
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    for noise in ("Traceback", "Unclosed", "ResourceWarning", "never awaited"):
        assert noise not in done.stderr, done.stderr
    done.stderr = SLOW.sub("", done.stderr)
    return done
