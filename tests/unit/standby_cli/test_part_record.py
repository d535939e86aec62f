"""What a supervisor remembers of a part, and reads back."""

from pathlib import Path

import pytest

from standby.exit_codes import EXIT_CONFIG, EXIT_DRAINED
from standby_cli import part_record
from standby_cli.part_record import PartRecord, exit_words


def test_a_part_that_ended_is_away_until_it_runs_again_or_has_left() -> None:
    fresh = PartRecord(name="w1", since=0.0)
    runs = fresh.started(7, 1.0)
    assert (runs.pid, runs.since, runs.away) == (7, 1.0, False)
    ended = runs.ended(-9, 5.0)
    assert (ended.pid, ended.since, ended.ends, ended.away) == (None, 5.0, 1, True)
    assert ended.last_exit == "killed by SIGKILL"
    again = ended.started(8, 6.0)
    assert (again.ends, again.last_exit, again.away) == (1, "killed by SIGKILL", False)
    left = again.ended(EXIT_DRAINED, 9.0).left(9.5)
    assert (left.wanted, left.away, left.since) == (False, False, 9.0)
    assert not left.started(9, 10.0).away


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (-15, "killed by SIGTERM"),
        (1, "exit status 1"),
        (EXIT_CONFIG, "exit status 78 (its settings cannot work)"),
        (EXIT_DRAINED, "exit status 3 (it was ordered to leave)"),
    ],
)
def test_an_exit_status_is_told_in_words(status: int, words: str) -> None:
    assert exit_words(status) == words


def test_records_are_read_as_they_were_written_and_anything_else_as_nothing(tmp_path: Path) -> None:
    file = tmp_path / "parts.json"
    assert part_record.read(file) == []
    records = [PartRecord(name="w1", since=1.5, pid=7), PartRecord(name="haproxy", since=2.0)]
    part_record.write(file, records)
    assert part_record.read(file) == records
    file.write_text("half of it")
    assert part_record.read(file) == []
