"""``mongo_url``: which database it names, and what is said of one that cannot be used."""

import traceback

import pytest

from prom_faust.exceptions import ConfigurationError
from tests.support.app import installed


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("mongodb://h", "prom"),
        ("mongodb://h/", "prom"),
        ("mongodb://h1,h2:1/db?replicaSet=r", "db"),
        ("mongodb://me:p%40ss%2Fw%3Ard%3F%23@h/db?authSource=admin", "db"),
        ("mongodb://me:p#ss[@h/db", "db"),
        ("mongodb://%2Ftmp%2Fmongodb.sock/my%20db", None),
        ("mongodb://h/a.b", None),
        ("mongodb:h/db", None),
    ],
)
def test_the_path_names_the_database(url, name):
    prom = installed("app", mongo_url=url)
    if name is not None:
        assert prom.database.name == name
        return
    with pytest.raises(ConfigurationError, match="mongo_url cannot be used"):
        _ = prom.database


@pytest.mark.parametrize(
    "password", ["gehe/im", "gehe@im", "gehe%im", "gehe/im.geheim", "1/geheim.x", "a?geheim"]
)
def test_a_password_that_is_not_escaped_is_not_told(password):
    with pytest.raises(ConfigurationError, match="mongo_url cannot be used") as caught:
        _ = installed("app", mongo_url=f"mongodb://me:{password}@h:1/db").database
    told = "".join(traceback.format_exception(caught.value)).split("ConfigurationError: ")[-1]
    assert caught.value.__cause__ is None
    for part in ("gehe", "im@", '"im'):
        assert part not in told
