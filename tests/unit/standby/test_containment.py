"""Every contained error is counted; of each kind one a minute is logged, with how many were not."""

from collections import Counter

import pytest

from standby.containment import Errors
from standby.logs import EventLog
from standby.sampling import PERIOD


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def read(self) -> float:
        return self.now


def test_one_of_each_kind_is_logged_a_minute_and_all_are_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, counted = Clock(), Counter[str]()
    errors = Errors(EventLog("t"), lambda kind: counted.update([kind]), clock.read)
    for number in range(1000):
        errors.note("user", ValueError(f"broken {number}"))
    errors.note("order", ValueError("another"))
    clock.now += PERIOD
    errors.note("user", ValueError("broken again"), uid="alice")

    fields: list[dict[str, object]] = [vars(each)["fields"] for each in caplog.records]
    assert counted == {"user": 1001, "order": 1}
    assert [(each["kind"], each["not_logged_before"]) for each in fields] == [
        ("user", 0),
        ("order", 0),
        ("user", 999),
    ]
    assert fields[2]["uid"] == "alice"
    assert all(each.levelname == "ERROR" and each.exc_info for each in caplog.records)
