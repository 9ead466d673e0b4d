from pathlib import Path

import pytest

from tests.mutants.mutants import MUTANTS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.guarantee}-{mutant.name}")
def test_the_line_that_a_mutant_breaks_is_there_once_and_so_are_its_tests(mutant):
    file = ROOT / "prom_faust" / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == 1
    compile(text.replace(mutant.old, mutant.new), file, "exec")
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists()
        assert f"def {name.partition('[')[0]}" in (ROOT / path).read_text()


def test_every_guarantee_with_mutants_has_several_and_no_two_have_one_name():
    assert {mutant.guarantee for mutant in MUTANTS} == {"G1", "G2", "G4", "G5", "G6"}
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
