"""Reading a results directory: which runs count, which requests, and what samples add up to."""

from pathlib import Path

import numpy as np
import pytest

from bench.experiment.results import Results, Timelines, carried
from tests.support.experiment_results import RESOURCES, build


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(build(tmp_path, count=20))


def sampled(results: Results, rows: list[str]) -> Timelines:
    """Of a cell whose first run has these samples instead."""
    file = results.directory / "runs" / "type2-standby-56-1" / "resources.csv"
    file.write_text("\n".join([RESOURCES, *rows]) + "\n", encoding="utf-8")
    timelines = results.timelines("type2-standby-56")
    assert timelines is not None
    return timelines


def test_latencies_of_all_valid_runs_are_together_and_ascend(results: Results) -> None:
    login = results.latencies("type2-trivial-56")["LOGIN"]
    assert len(login) == 40
    assert (np.diff(login) >= 0).all()


def test_warm_up_and_failures_have_no_latency(results: Results) -> None:
    for values in results.latencies("type2-trivial-56").values():
        assert values[-1] < 80_000  # what those took in the made-up files


def test_a_run_with_a_problem_does_not_count(results: Results) -> None:
    assert [path.name for path in results.valid_runs("type2-standby-7")] == ["type2-standby-7-1"]
    assert len(results.latencies("type2-standby-7")["LOGIN"]) == 20


def test_a_run_that_was_interrupted_does_not_count(results: Results) -> None:
    (results.directory / "runs" / "type2-trivial-56-1" / "run.json").unlink()
    assert len(results.latencies("type2-trivial-56")["LOGIN"]) == 20


def test_a_cell_without_a_valid_run_has_nothing(results: Results) -> None:
    assert results.latencies("type2-on-demand-7") == {}
    assert results.timelines("type2-on-demand-7") is None


def test_a_cell_is_not_mistaken_for_one_whose_name_it_begins(results: Results) -> None:
    assert results.valid_runs("type2-standby") == []


def test_runs_without_samples_have_no_timelines(results: Results) -> None:
    (results.directory / "runs" / "type2-standby-56-1" / "resources.csv").unlink()
    assert results.timelines("type2-standby-56") is None


def test_memory_is_carried_between_readings_and_summed_by_role(results: Results) -> None:
    timelines = sampled(
        results,
        [
            "0,servers,1,server,0,10,20,,0,0",
            "0,servers,2,server,0,,20,,0,0",
            "2,servers,1,server,0,,20,,0,0",
            "2,servers,2,server,0,4,20,,0,0",
            "2,load-balancer,3,haproxy,0,7,20,,0,0",
            "4,servers,1,server,0,12,20,,0,0",
        ],
    )
    assert timelines.seconds.tolist() == [0, 2, 4]
    assert timelines.memory["servers"].tolist() == [14, 14, 12]
    assert timelines.memory["load-balancer"].tolist() == [0, 7, 0]


def test_the_enclaves_of_several_wrappers_add_up(results: Results) -> None:
    timelines = sampled(
        results,
        [
            "0,servers,1,server,0,10,20,,0,0",
            "0,servers,0,simulated enclaves,0,,0,64,0,0",
            "0,servers,0,simulated enclaves,0,,0,128,0,0",
            "2,servers,1,server,0,,20,,0,0",
        ],
    )
    assert timelines.memory["servers"].tolist() == [202, 10]


def test_processors_are_seconds_used_by_seconds_passed(results: Results) -> None:
    timelines = sampled(
        results,
        [
            "0,servers,1,server,5.0,,20,,0,0",
            "2,servers,1,server,6.0,,20,,0,0",
            "2,servers,2,server,0.5,,20,,0,0",  # new: all that it used was used since the sample before
            "4,servers,1,server,0.2,,20,,0,0",  # less than before: another process with the same pid
            "4,servers,2,server,0.5,,20,,0,0",
        ],
    )
    assert timelines.processors["servers"] == pytest.approx([0.75, 0.1])


def test_before_its_first_reading_a_value_is_that_reading() -> None:
    nan = float("nan")
    assert carried([nan, 3, nan, 5, nan]).tolist() == [3, 3, 3, 5, 5]
    assert carried([nan, nan]).tolist() == [0, 0]


def test_a_directory_without_a_summary_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Results(tmp_path)
