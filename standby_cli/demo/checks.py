"""What must hold after the demo, and whether it does. Pure."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Final

from msgspec import Struct

from smartgrid_client.messages import Averages
from standby.approach import Approach
from standby_cli.demo.households import Answer, Outcome
from standby_cli.demo.scenario import QUESTIONS, Plan

MAX_RELATIVE_ERROR: Final = 1e-9
"""SQLite adds doubles one by one; over 35,000 rows that stays far below this."""


class Check(Struct, frozen=True, kw_only=True):
    """One thing that must hold."""

    name: str
    expected: str
    found: str
    ok: bool


def check(name: str, expected: object, found: object) -> Check:
    return Check(name=name, expected=str(expected), found=str(found), ok=expected == found)


def relative_error(expected: Averages, given: Averages) -> float:
    """The largest relative error of any average in the answer; infinite if its shape or a count differs."""
    shape = [(each.start, each.count) for each in expected.buckets]
    if expected.count != given.count or shape != [
        (each.start, each.count) for each in given.buckets
    ]:
        return math.inf
    pairs = [(expected.average, given.average)]
    pairs += [(a.average, b.average) for a, b in zip(expected.buckets, given.buckets, strict=True)]
    return max(map(_pair_error, pairs))


def _pair_error(pair: tuple[float | None, float | None]) -> float:
    expected, given = pair
    if expected is None or given is None:
        return 0.0 if expected is given else math.inf
    return abs(expected - given) / abs(expected) if expected else abs(given)


def of_answers(answers: Sequence[Answer]) -> Check:
    worst = max(
        (relative_error(each.question.expected, each.given) for each in answers), default=math.inf
    )
    return Check(
        name=f"{len(answers)} averages equal those computed from the file",
        expected=f"error ≤ {MAX_RELATIVE_ERROR:g}",
        found=f"{worst:.1e}",
        ok=worst <= MAX_RELATIVE_ERROR,
    )


def of_run(
    plan: Plan,
    outcomes: Sequence[Outcome],
    errors: int,
    users_of_process: Mapping[str, set[str]],
) -> list[Check]:
    """All checks but the last, which is made after the platform has ended."""
    sessions = list(chain.from_iterable(outcome.sessions for outcome in outcomes))
    planned = sum(outcome.household.sessions for outcome in outcomes)
    served = [boot_id for session in sessions for boot_id in session]
    alarms_set = [list(chain.from_iterable(each.household.alarms)) for each in outcomes]
    found = [
        of_answers(list(chain.from_iterable(outcome.answers for outcome in outcomes))),
        check(
            "every question was answered",
            sum(QUESTIONS * len(each.household.rounds) for each in outcomes),
            sum(len(each.answers) for each in outcomes),
        ),
        check(
            "every reading that was sent is stored, once",
            sum(each.rows_sent for each in outcomes),
            sum(each.rows_stored for each in outcomes),
        ),
        check(
            "batches sent again are recognised",
            sum(each.repeated for each in outcomes),
            sum(each.duplicates for each in outcomes),
        ),
        check("alarms are as they were set", alarms_set, [each.alarms for each in outcomes]),
        check("requests that failed for good", 0, errors),
        check("sessions", planned, len([each for each in sessions if each])),
        check(
            "clients whose server proved what it is first",
            2 * sum(len(each.household.rounds) for each in outcomes),
            sum(len(each.verified) for each in outcomes),
        ),
        check(
            "processes that were seen with two users",
            0,
            sum(len(users) > 1 for users in users_of_process.values()),
        ),
    ]
    if plan.approach is not Approach.TRIVIAL:
        found.append(check("every session had a process of its own", len(served), len(set(served))))
    if plan.approach is Approach.STANDBY:
        found.append(
            Check(
                name="the pool is smaller than the number of users",
                expected=f"below {plan.users}",
                found=str(plan.pool_size),
                ok=plan.pool_size < plan.users,
            )
        )
    return [_short(each) for each in found]


def _short(each: Check) -> Check:
    """A check that compares long values says only whether they are equal."""
    limit = 40
    if len(each.expected) <= limit:
        return each
    return Check(
        name=each.name,
        expected="equal",
        found="equal" if each.ok else "different",
        ok=each.ok,
    )
