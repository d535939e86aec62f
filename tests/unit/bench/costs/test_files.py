"""The profiles that are delivered can be used, and a file that cannot be used says why."""

from pathlib import Path

import msgspec
import pytest

from bench.costs.errors import ProfilesError, SummaryError
from bench.costs.files import PROFILES, read_profiles, read_summary
from bench.costs.model import total
from bench.experiment.record import Summary
from tests.unit.bench.costs.records import experiment, summary

PROFILE = '[[profile]]\nname = "p"\ntitle = ""\nabout = ""\nsource = ""\nweights = { a = 1.0 }\n'
MEASURED = {"login", "logout", "write", "long_write", "query_avg", "memory", "processors"}


def test_the_delivered_profiles_have_reasons_and_weigh_only_what_is_measured() -> None:
    profiles = read_profiles(PROFILES).profile
    assert len(profiles) >= 3
    for each in profiles:
        assert each.about
        assert each.source
        assert set(each.weights) <= MEASURED


def test_the_delivered_example_costs_what_its_source_says() -> None:
    (example,) = read_profiles(PROFILES).example
    assert total(example, example.alphas).value == pytest.approx(example.published, abs=0.01)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[profile]", "Expected"),
        ("[[profile]]\nname = 1", "Expected `str`"),
        (PROFILE + "weight = 1.0", "unknown field `weight`"),
        (PROFILE + PROFILE, "more than one profile is called p"),
    ],
)
def test_a_file_of_profiles_that_is_wrong(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ProfilesError, match=said) as error:
        read_profiles(file)
    assert str(file) in str(error.value)


def test_a_summary_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    written: Summary = summary(experiment())
    file.write_bytes(msgspec.json.encode(written))
    assert read_summary(file) == written


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"name": 1}'])
def test_a_file_that_is_no_summary(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    file.write_bytes(content)
    with pytest.raises(SummaryError, match="is no summary of"):
        read_summary(file)
