"""Tests of the tests: each mechanism of routing and starting is missed by a test when it is gone."""

from pathlib import Path

import pytest

from tests.mutations.mutant import assert_noticed
from tests.mutations.mutations import OF_ROUTING, Mutation


@pytest.mark.parametrize("mutation", OF_ROUTING, ids=lambda each: each.name.replace(" ", "_"))
def test_it_is_noticed_when(mutation: Mutation, tmp_path: Path) -> None:
    assert_noticed(tmp_path, mutation)
