"""Kafka's jars: resolved once from Maven coordinates, then kept.

`jgo` walks the dependency graph and downloads; neither `mvn` nor a JDK is needed. Its environment
builder is not used: it sorts jars into class path and module path, and fetches a whole JDK for that.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jgo.config import GlobalSettings
from jgo.maven import Artifact, MavenContext

from prom_faust.exceptions import LocalStackError
from prom_faust.local.lock import exclusive
from prom_faust.local.progress import Progress, silent

__all__ = ["KAFKA_VERSION", "kafka_jars", "maven_jars"]

KAFKA_VERSION = "4.2.0"

_COORDINATES = (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
_SCOPES = frozenset({"compile", "runtime"})
_DOWNLOADS_AT_ONCE = 8
_HTTP_TIMEOUT_SECONDS = 30


def kafka_jars(cache: Path, progress: Progress = silent) -> Path:
    """Return the folder with all jars of the broker; download them into the cache when it is not there.

    Args:
        cache: where the jars of all versions are kept.
        progress: told about the downloads.

    Raises:
        LocalStackError: the jars could not be resolved or downloaded.
    """
    return maven_jars(
        cache / f"kafka-{KAFKA_VERSION}", _COORDINATES, title=f"Kafka {KAFKA_VERSION}", progress=progress
    )


def maven_jars(
    jars: Path,
    coordinates: Sequence[str],
    *,
    title: str,
    transitive: bool = True,
    progress: Progress = silent,
) -> Path:
    """Return the folder with the jars of these coordinates; download them when it is not there.

    The folder appears by a rename, so it is complete when it exists, and a download that was cut
    off is started afresh. Several processes may call this at once: one downloads, the others wait.

    Args:
        jars: the folder.
        coordinates: ``group:artifact:version``, or ``group:artifact:version:classifier``.
        title: what they are, for messages.
        transitive: whether the jars that they depend on come too; not for one that holds them all.
        progress: told about the downloads.

    Raises:
        LocalStackError: the jars could not be resolved or downloaded.
    """
    if jars.is_dir():
        return jars
    with exclusive(jars.parent / ".lock", purpose=f"downloading {title}", progress=progress):
        if not jars.is_dir():
            _download(jars, coordinates, title, transitive=transitive, progress=progress)
    return jars


def _download(
    jars: Path, coordinates: Sequence[str], title: str, *, transitive: bool, progress: Progress
) -> None:
    partial = jars.parent / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    complete = partial / "complete"
    complete.mkdir(parents=True)
    progress(f"resolving the jars of {title}")
    try:
        artifacts = _resolve(partial / "repository", coordinates, transitive=transitive)
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            for done, path in enumerate(pool.map(Artifact.resolve, artifacts), start=1):
                progress(f"downloading {title}: {done} of {len(artifacts)} jars")
                path.rename(complete / path.name)
    # jgo raises RuntimeError, ValueError and its HTTP client's errors (which are OSErrors).
    except (OSError, RuntimeError, ValueError) as error:
        raise LocalStackError(
            f"{title} could not be downloaded: {error}\n"
            "Behind a proxy with a certificate of its own, set REQUESTS_CA_BUNDLE to its file"
        ) from error
    complete.rename(jars)
    shutil.rmtree(partial)


def _resolve(repository: Path, coordinates: Sequence[str], *, transitive: bool) -> list[Artifact]:
    """Walk the dependency graph; repositories of the user's own jgo settings are asked first."""
    context = MavenContext(
        repo_cache=repository,
        remote_repos={**GlobalSettings.load().repositories, **MavenContext().remote_repos},
        timeout=_HTTP_TIMEOUT_SECONDS,
    )
    wanted = [context.create_dependency(coordinate) for coordinate in coordinates]
    if not transitive:
        return [dependency.artifact for dependency in wanted]
    inputs, found = context.resolver.resolve(wanted)
    needed = [*inputs, *(dependency for dependency in found if dependency.scope in _SCOPES)]
    return [dependency.artifact for dependency in needed]
