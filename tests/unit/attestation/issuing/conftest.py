from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.attestation.issuing.world import World, made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with made(tmp_path / "audit") as world:
        yield world
