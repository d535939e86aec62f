"""Which places of sessions a starting HAProxy takes from what wrappers say."""

import pytest

from lb_lua import routes
from standby import decode
from standby.messages import InstanceView


def _server(**changes: object) -> InstanceView:
    shown = {
        "wrapper_id": "w1",
        "slot": 0,
        "boot_id": "0123456789abcdef",
        "address": "127.0.0.1",
        "port": 4001,
        "state": "ACTIVE",
        "user": "anna",
        "generation": 1,
        "reason": None,
        "age_seconds": 1.0,
        "state_seconds": 1.0,
    }
    return decode.value(shown | changes, InstanceView)


def test_of_two_servers_the_one_that_claimed_the_volume_last_is_taken() -> None:
    late, early = _server(generation=8, port=4008), _server(generation=7, port=4007)
    for order in ([late, early], [early, late]):
        assert routes.places(order) == {"anna": "127.0.0.1:4008"}


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "STOPPED"},
        {"state": "READY", "user": None, "generation": None},
        {"address": "999.1.1.1"},
    ],
)
def test_what_is_no_session_with_an_address_is_left_out(changes: dict[str, object]) -> None:
    assert routes.places([_server(**changes), _server(user="bert")]) == {"bert": "127.0.0.1:4001"}


def test_an_ipv6_address_is_told_apart_from_its_port() -> None:
    found = routes.places([_server(address="::1"), _server(user="bert")])
    assert routes.lines(found) == "anna [::1]:4001\nbert 127.0.0.1:4001\n"
