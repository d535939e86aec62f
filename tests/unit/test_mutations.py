"""Each mutation can be made: its text is in its file once. Whether a test notices it is seen in `tests/mutations`."""

import pytest

from tests.mutations.mutant import mutated
from tests.mutations.mutations import OF_DATA, OF_ROUTING, Mutation


@pytest.mark.parametrize("mutation", [*OF_ROUTING, *OF_DATA], ids=lambda each: each.name)
def test_the_text_is_there_and_what_stands_there_then_is_python(mutation: Mutation) -> None:
    compile(mutated(mutation), mutation.file, "exec")
