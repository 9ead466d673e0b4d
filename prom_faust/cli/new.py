"""`prom-faust new`: a small app to begin with, as one file."""

import re
import shlex
import sys
from importlib.resources import files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

import click

__all__ = ["new"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,59}")
"""What is at once a Python module, an app id, the beginning of a Kafka topic and a MongoDB database."""
_DATABASES = frozenset({"admin", "config", "local"})
"""MongoDB's own."""
_PACKAGES = frozenset({"agents"})
"""Names that well-known packages install, whether they are here or not."""

_NEXT = """wrote {path}

Kafka and MongoDB on this machine, without Docker, and a worker:
{cd}    prom-faust local up
    faust -A {name} worker -l info

and in another terminal, once the worker is ready:
{cd}    faust -A {name} fill
    faust -A {name} sink verify items

Where the servers have other addresses than the file says, set KAFKA_URL and MONGO_URL."""


@click.command()
@click.argument("name")
@click.option(
    "--directory",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default="the current one",
    help="The folder to write to.",
)
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
def new(name: str, directory: Path, force: bool) -> None:
    """Write NAME.py: an app with a topic, a projection and a command that sends."""
    path = directory / f"{name}.py"
    fault = _fault(name, path)
    if fault:
        raise click.BadParameter(f"{fault}. Choose another name.", param_hint="NAME")
    template = files("prom_faust.cli").joinpath("templates", "app.py.txt").read_text("utf-8")
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(Template(template).substitute(name=name))
    except FileExistsError as error:
        raise click.ClickException(
            f"{path} is there already: choose another name, or overwrite it with --force"
        ) from error
    cd = "" if directory.resolve() == Path.cwd() else f"    cd {shlex.quote(str(directory))}\n"
    click.echo(_NEXT.format(path=path, name=name, cd=cd))


def _fault(name: str, path: Path) -> str | None:
    if not _NAME.fullmatch(name):
        return f"{name!r} cannot be a module: it takes letters, digits and _, at most 60, and begins with no digit"
    if iskeyword(name):
        return f"{name!r} is a keyword of Python"
    if name in _DATABASES:
        return f"{name!r} is a database of MongoDB's own"
    if name in _PACKAGES or name in sys.stdlib_module_names or _importable(name, path):
        return f"{name!r} is a module already, and `faust -A {name}` would find that one"
    return None


def _importable(name: str, path: Path) -> bool:
    """Whether another module has the name; the file that would be overwritten is none."""
    try:
        spec = find_spec(name)
    except ValueError:  # a module that was not made by an import, as __main__
        return True
    return spec is not None and not (spec.origin and Path(spec.origin).resolve() == path.resolve())
