import ast
import inspect
from pathlib import Path

import prom_faust

PACKAGE = Path(prom_faust.__file__).parent
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
        path.read_text()
    )
    for path in PACKAGE.rglob("*.py")
}
PURE = [
    *(f"prom_faust.sink.{name}" for name in ("order", "event", "options", "decode", "document")),
    *(f"prom_faust.sink.{name}" for name in ("plan", "outcome", "sweep")),
    *(f"prom_faust.lane.{name}" for name in ("record", "batch", "partition", "history")),
    *(f"prom_faust.{name}" for name in ("dlq.envelope", "topics", "exceptions", "settings", "backoff")),
]


def exported(module):
    for node in MODULES[module].body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{module} has no __all__")


def test_all_is_sorted_and_exactly_the_public_names():
    public = {
        name
        for name, value in vars(prom_faust).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert prom_faust.__all__ == sorted(public)


def test_what_pure_modules_are_used_for_is_in_their_all():
    used = {
        (node.module, alias.name)
        for tree in MODULES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module in PURE
        for alias in node.names
    }
    assert used
    assert {(module, name) for module, name in used if name not in exported(module)} == set()
