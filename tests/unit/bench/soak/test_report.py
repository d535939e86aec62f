"""The verdict: every failed condition in words, and a run that says too little is neither good nor bad."""

from typing import Any

from bench.soak import report
from bench.soak.figures import Figure
from bench.soak.report import Ended, Judgement
from bench.soak.users import Served
from bench.stranger import Sent

LENGTH = 1000.0


def _ended(slope: float = 0.0, readings: int = 200, **changes: Any) -> Ended:
    series = [(number * LENGTH / readings, 10.0 + slope * number) for number in range(readings)]
    values: dict[str, Any] = {
        "seconds": LENGTH,
        "interrupted": False,
        "series": {("w1", Figure.MEMORY): series},
        "served": Served(sessions=40, requests=100),
        "sent": Sent(hellos=100),
        "killed": 1,
        "broken": [],
        "tracebacks": {},
    }
    return Ended(**(values | changes))


def _judged(ended: Ended) -> tuple[Judgement, list[str], list[str]]:
    figures = report.trends(ended.series, ended.seconds)
    failures = report.failures(ended, figures, "/evidence")
    lacking = report.lacking(ended, figures, users=4)
    return report.judge(failures, lacking), failures, lacking


def test_a_steady_run_is_good() -> None:
    assert _judged(_ended()) == (Judgement.STEADY, [], [])


def test_growth_fails_with_its_figures_and_where_to_look() -> None:
    judgement, (text,), _ = _judged(_ended(slope=0.1))
    assert judgement is Judgement.FAILED
    assert text.startswith("w1: memory grows by 72 MiB an hour")
    assert "/evidence/readings.csv" in text


def test_what_ended_on_the_way_and_tracebacks_fail_it() -> None:
    broken = _ended(broken=["w1 ended (7 s) and was started again"], tracebacks={"w1 x": 3})
    judgement, failures, _ = _judged(broken)
    assert judgement is Judgement.FAILED
    assert [text.partition(" (see")[0] for text in failures] == [
        "w1 ended (7 s) and was started again",
        "w1 x: 3 tracebacks",
    ]


def test_too_little_of_anything_is_inconclusive_and_says_of_what() -> None:
    for ended, word in (
        (_ended(readings=10), "too few readings"),
        (_ended(served=Served(sessions=3)), "3 sessions of 4 users"),
        (_ended(sent=Sent()), "stranger"),
    ):
        judgement, failures, (text,) = _judged(ended)
        assert judgement is Judgement.INCONCLUSIVE
        assert not failures
        assert word in text


def test_a_failure_counts_also_when_there_is_too_little() -> None:
    judgement, _, lacking = _judged(_ended(slope=0.1, sent=Sent()))
    assert judgement is Judgement.FAILED
    assert lacking
