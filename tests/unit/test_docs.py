"""What the pages refer to exists."""

import re
from pathlib import Path

import pytest

from tests.mutations.mutations import OF_DATA, OF_ROUTING, Mutation

_ROOT = Path(__file__).parent.parent.parent
_PAGES = sorted([*(_ROOT / "docs").rglob("*.md"), *_ROOT.glob("*.md")])
_TEST = re.compile(r"`(tests/[\w/.]+?)(?:::(\w+))?`")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(_ROOT)))
def test_every_test_and_every_file_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [
        f"{file}::{name}" for file, name in _TEST.findall(text) if not _exists(_ROOT / file, name)
    ]
    missing += [link for link in _LINK.findall(text) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("mutation", [*OF_DATA, *OF_ROUTING], ids=lambda each: each.name)
def test_the_guarantees_name_every_mutation_and_what_notices_it(mutation: Mutation) -> None:
    page = (_ROOT / "docs/explanation/guarantees.md").read_text(encoding="utf-8")
    row = f"| {mutation.name} | `{mutation.test}` |"
    assert row in page


def _exists(file: Path, name: str) -> bool:
    if not name:
        return file.exists()
    return (
        file.is_file() and re.search(rf"def {name}\(", file.read_text(encoding="utf-8")) is not None
    )
