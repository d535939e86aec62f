"""The demo's own judgement: it would notice what it is there to notice."""

import asyncio
import math
from collections import Counter
from pathlib import Path

import pytest

from attestation.claims import Root, TcbStatus
from attestation.policy import PolicyError
from attestation.trust_files import POLICY_FILE
from smartgrid_client.admission import Admitted, PolicyName
from smartgrid_client.connection import Address, Exchange
from smartgrid_client.errors import BusyError, ClientError
from smartgrid_client.messages import Averages, BucketAverage, Login, Metric
from smartgrid_client.requests import Operation
from smartgrid_client.session import Attempt
from standby.identity import Role
from standby_cli.demo import checks, scenario
from standby_cli.demo.households import Access, Answer, Family, Outcome
from standby_cli.demo.scenario import Household, Plan, Question


@pytest.fixture(scope="module")
def households() -> list[Household]:
    readings, _ = scenario.load()
    return scenario.households(Plan(users=3), readings)


def _averages(average: float | None, count: int = 2, *buckets: BucketAverage) -> Averages:
    return Averages(metric=Metric.POWER, count=count, average=average, buckets=list(buckets))


def test_every_reading_is_in_exactly_one_batch_of_each_household(
    households: list[Household],
) -> None:
    readings, skips = scenario.load()
    for household in households:
        pushed = [row for batches in household.rounds for batch in batches for row in batch.rows]
        assert Counter(pushed) == Counter(readings)
    assert sum(skips.values()) == 2


def test_batches_have_the_sizes_of_one_three_and_twelve_hours(households: list[Household]) -> None:
    largest = [max(len(batch.rows) for batch in household.rounds[0]) for household in households]
    assert largest == [240, 720, 2880]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (_averages(3.0), 0.0),
        (_averages(3.3), pytest.approx(0.1)),
        (_averages(None), math.inf),
        (_averages(3.0, 3), math.inf),
        (_averages(3.0, 2, BucketAverage(0, 2, 3.0)), math.inf),
    ],
)
def test_a_wrong_answer_has_an_error(given: Averages, error: float) -> None:
    assert checks.relative_error(_averages(3.0), given) == error


def _perfect(household: Household) -> Outcome:
    rows = sum(len(batch.rows) for batches in household.rounds for batch in batches)
    expected = _averages(3.0)
    return Outcome(
        household,
        answers=[Answer(Question(Metric.POWER, None, None, None, expected), expected)] * 18,
        rows_stored=rows,
        rows_sent=rows,
        duplicates=3,
        repeated=3,
        alarms=[alarm for each in household.alarms for alarm in each],
        sessions=[{f"{household.uid}-{number}"} for number in range(household.sessions)],
        clients=6,
        verified={*range(6)},
    )


def _failed(
    outcomes: list[Outcome], errors: int = 0, seen: dict[str, set[str]] | None = None
) -> int:
    found = checks.of_run(Plan(users=4, pool_size=2), outcomes, errors, seen or {})
    return sum(not each.ok for each in found)


def test_a_customer_asks_the_questions_that_are_expected(households: list[Household]) -> None:
    rows = households[0].rounds[0][0].rows
    assert len(scenario.questions(rows)) == scenario.QUESTIONS


def test_a_perfect_run_holds_every_check(households: list[Household]) -> None:
    assert _failed([_perfect(each) for each in households]) == 0


def test_each_kind_of_wrong_fails_exactly_one_check(households: list[Household]) -> None:
    perfect = [_perfect(each) for each in households]
    assert _failed(perfect, errors=1) == 1
    assert _failed(perfect, seen={"boot": {"anna", "bert"}}) == 1
    for name, value in (
        ("rows_stored", 1),
        ("duplicates", 2),
        ("alarms", []),
        ("answers", []),
        ("verified", {*range(5)}),
    ):
        wrong = [_perfect(each) for each in households]
        setattr(wrong[1], name, value)
        assert _failed(wrong) == 1, name


def test_a_process_that_served_two_sessions_is_noticed(households: list[Household]) -> None:
    wrong = [_perfect(each) for each in households]
    wrong[0].sessions[0] = wrong[1].sessions[0]
    assert _failed(wrong) == 1


def _note(
    family: Family, client: int, outcome: Login | ClientError, admitted: Admitted | None
) -> None:
    exchange = Exchange(Operation.LOGIN, 0.0, 0.1, 0.1, outcome, admitted)
    family._note(client, Attempt(exchange, number=1, late=0.0, repeated=False))


def test_a_client_counts_as_verified_when_its_server_was_admitted(
    households: list[Household], tmp_path: Path
) -> None:
    admitted = Admitted(
        variant="smartgrid",
        measurement="a" * 64,
        root=Root.SIMULATED,
        tcb_status=TcbStatus.UP_TO_DATE,
        policy=PolicyName(version=1, digest="b" * 64),
    )
    access = Access(Address("127.0.0.1", 1, households[0].uid), tmp_path, tmp_path)
    family = Family(households[0], access, lambda _: None, asyncio.Event())
    family.outcome.sessions.append(set())
    _note(family, 1, BusyError("try again"), admitted)
    _note(family, 2, BusyError("try again"), None)
    _note(family, 1, BusyError("try again"), admitted)
    assert family.outcome.verified == {1}


def test_a_client_of_the_demo_without_a_policy_does_not_begin(
    households: list[Household], tmp_path: Path
) -> None:
    access = Access(Address("127.0.0.1", 1, households[0].uid), tmp_path, tmp_path)
    with pytest.raises(PolicyError, match=str(tmp_path / POLICY_FILE)):
        access.client(Role.METER)
