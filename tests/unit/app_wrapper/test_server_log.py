"""A server's own log lines inside the wrapper's: fields where they are fields, and never more than that."""

import json

import pytest

from app_wrapper.server_log import MOST_FIELDS, TEXT_HEAD, TEXT_TAIL, Rating, read

LONGEST = TEXT_HEAD + TEXT_TAIL + len(" … ")


def test_a_record_becomes_fields_marked_as_the_server_s_words() -> None:
    record = read('{"level": "ERROR", "event": "request_refused", "rows": 3, "late": true}')
    assert record.fields == {
        "said": {"level": "ERROR", "event": "request_refused", "rows": 3, "late": True}
    }
    assert (record.level, record.alarming) == (Rating.ERROR, True)


@pytest.mark.parametrize(
    "line",
    [
        "plain words",
        "",
        "{",
        "[1, 2]",
        '"a text"',
        '{"nested": {"deep": 1}}',
        '{"list": []}',
        '{"not a name": 1}',
        '{"": 1}',
        '{"x": NaN}',
        '{"x": 1e999}',
        '{"x": 1} and more',
        '{"x": "\ud800"}',
        "[" * 8000,
        '{"a":' * 1600,
        json.dumps({f"field_{number}": 0 for number in range(MOST_FIELDS + 1)}),
        f'{{"{"n" * 41}": 1}}',
        f'{{"x": {"9" * 300}}}',
        f'{{"x": {"9" * 5000}}}',
    ],
)
def test_what_is_no_flat_record_is_a_bounded_text(line: str) -> None:
    record = read(line)
    assert [*record.fields] == ["text"]
    assert len(str(record.fields["text"])) <= LONGEST
    assert (record.level, record.alarming) == (Rating.NONE, False)


def test_every_field_is_bounded() -> None:
    line = f'{{"text": "{"x" * 5000} the end", "level": "LOUD"}}'
    record = read(line)
    said = record.fields["said"]
    assert isinstance(said, dict)
    assert said["text"].endswith("xx the end")
    assert all(len(str(value)) <= LONGEST for value in said.values())
    assert record.level is Rating.NONE


@pytest.mark.parametrize(
    ("level", "alarming"), [("DEBUG", False), ("INFO", False), ("WARNING", True), ("ERROR", True)]
)
def test_the_server_s_own_rating_is_kept(level: str, alarming: bool) -> None:  # a case
    record = read(f'{{"level": "{level}"}}')
    assert (record.level, record.alarming) == (level, alarming)
