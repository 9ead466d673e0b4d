"""What the documents promise by name is there."""

from pathlib import Path

import pytest

from prom_faust import exceptions
from prom_faust.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_in_the_guide(name):
    assert f"| `{name}` |" in (DOCS / "guide.md").read_text()


@pytest.mark.parametrize(
    "error",
    [
        exceptions.UnreachableError,
        exceptions.TopicError,
        exceptions.IndexConflictError,
        exceptions.ConfigurationError,
        exceptions.SchemaError,
        exceptions.IncompatibleSchemaError,
        exceptions.RoutingMismatchError,
        exceptions.WebPortError,
        exceptions.GroupError,
        exceptions.DuplicateMemberError,
        *exceptions.LostHistoryError.__subclasses__(),
    ],
)
def test_every_error_that_ends_a_worker_is_in_the_operations_page(error):
    assert f"| `{error.__name__}` |" in (DOCS / "operations.md").read_text()
