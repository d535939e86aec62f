"""Whose process it is and who may call, decided without clock or network."""

import pytest

from smartgrid_server.errors import (
    ExpiredTokenError,
    ServerTakenError,
    SessionOverError,
    StaleTokenError,
    UnknownTokenError,
)
from smartgrid_server.session import Limits, Phase, Session
from standby.identity import Role
from standby.ids import Generation, Uid
from standby.states import StopReason

GENERATION = Generation(7)
ALICE, BOB = Uid("alice"), Uid("bob")
CUSTOMER, METER = Role.CUSTOMER, Role.METER
LIMITS = Limits(length=600, most=1500, idle=180, login=8, retry=15, tries=3, members=3)


def locked(*, dedicated: bool = False) -> Session:
    session = Session(LIMITS, dedicated=ALICE if dedicated else None)
    session.bind(ALICE, now=0)
    session.log_in(ALICE)
    session.volume_given(GENERATION)
    return session


def opened(*tokens: str, now: float = 0, dedicated: bool = False) -> Session:
    session = locked(dedicated=dedicated)
    session.opened()
    for token in tokens or ("t",):
        session.join(CUSTOMER, token, now)
    return session


def test_the_first_user_owns_the_process_before_his_volume_is_there() -> None:
    session = Session(LIMITS)
    assert session.serves(ALICE)
    assert session.serves(BOB)
    session.bind(ALICE, now=0)
    session.bind(ALICE, now=1)
    assert not session.serves(BOB)
    with pytest.raises(ServerTakenError):
        session.bind(BOB, now=1)
    with pytest.raises(ServerTakenError):
        session.log_in(BOB)
    assert session.phase is Phase.BOUND


def test_a_dedicated_process_has_an_owner_from_the_start() -> None:
    session = Session(LIMITS, dedicated=ALICE)
    with pytest.raises(ServerTakenError):
        session.bind(BOB, now=0)


def test_a_user_who_came_and_does_not_log_in_ends_the_process() -> None:
    session = Session(LIMITS)
    assert session.deadline() is None
    session.bind(ALICE, now=10)
    session.bind(ALICE, now=15)  # another connection gives no more time
    assert session.deadline() == 18
    assert session.tick(now=17.9) is None
    assert session.tick(now=18) is StopReason.NO_LOGIN
    with pytest.raises(SessionOverError):
        session.log_in(ALICE)


def test_a_token_is_good_for_its_user_and_role_only() -> None:
    session = opened("t")
    session.authorise(ALICE, CUSTOMER, "t", now=1)
    with pytest.raises(UnknownTokenError):
        session.authorise(ALICE, METER, "t", now=1)
    with pytest.raises(ServerTakenError):
        session.authorise(BOB, CUSTOMER, "t", now=1)
    with pytest.raises(UnknownTokenError):
        session.authorise(ALICE, CUSTOMER, "u", now=1)


def test_the_session_ends_with_its_last_token() -> None:
    session = opened("t", "u")
    assert session.logout(ALICE, CUSTOMER, "t", now=1) is None
    with pytest.raises(UnknownTokenError):
        session.authorise(ALICE, CUSTOMER, "t", now=1)
    assert session.logout(ALICE, CUSTOMER, "u", now=1) is StopReason.LOGOUT
    assert session.phase is Phase.OVER
    with pytest.raises(SessionOverError):
        session.bind(ALICE, now=1)
    with pytest.raises(SessionOverError):
        session.join(CUSTOMER, "v", now=2)


def test_the_last_live_token_ends_the_session_although_an_expired_one_is_remembered() -> None:
    session = opened("t", now=0)
    session.authorise(ALICE, CUSTOMER, "t", now=150)
    session.join(CUSTOMER, "u", now=300)
    session.authorise(ALICE, CUSTOMER, "u", now=450)
    session.authorise(ALICE, CUSTOMER, "u", now=610)
    with pytest.raises(ExpiredTokenError):
        session.authorise(ALICE, CUSTOMER, "t", now=610)
    assert session.logout(ALICE, CUSTOMER, "u", now=611) is StopReason.LOGOUT


def test_a_session_expires_when_its_last_token_does() -> None:
    session = opened("t", now=0)
    for now in range(100, 600, 100):
        session.authorise(ALICE, CUSTOMER, "t", now)
    assert session.deadline() == 600
    assert session.tick(now=599.9) is None
    with pytest.raises(ExpiredTokenError):
        session.authorise(ALICE, CUSTOMER, "t", now=600)  # before the timer has run
    assert session.tick(now=600) is StopReason.EXPIRED


def test_a_session_without_requests_is_idle() -> None:
    session = opened("t", now=0)
    session.authorise(ALICE, CUSTOMER, "t", now=100)
    assert session.deadline() == 280
    assert session.tick(now=279) is None
    with pytest.raises(ExpiredTokenError):
        session.authorise(ALICE, CUSTOMER, "t", now=280)
    assert session.tick(now=280) is StopReason.IDLE
    assert session.tick(now=281) is None


def test_a_refused_request_does_not_keep_a_session_alive() -> None:
    session = opened("t", now=0)
    with pytest.raises(UnknownTokenError):
        session.authorise(ALICE, CUSTOMER, "guess", now=100)
    assert session.deadline() == 180


def test_wrong_keys_end_the_session_by_number() -> None:
    session = locked()
    assert [session.key_refused(now=1) for _ in range(3)] == [None, None, StopReason.REFUSED]


def test_wrong_keys_end_the_session_by_time() -> None:
    session = locked()
    session.key_refused(now=10)
    session.key_refused(now=20)
    assert session.deadline() == 25
    assert session.tick(now=25) is StopReason.REFUSED


def test_the_right_key_makes_wrong_ones_forgotten() -> None:
    session = locked()
    session.key_refused(now=10)
    session.opened()
    session.join(CUSTOMER, "t", now=12)
    assert session.deadline() == 192


def test_the_least_recently_used_token_gives_way() -> None:
    session = opened("t", "u", "v")
    session.authorise(ALICE, CUSTOMER, "t", now=1)
    session.join(CUSTOMER, "w", now=1)
    session.authorise(ALICE, CUSTOMER, "t", now=2)
    with pytest.raises(UnknownTokenError):
        session.authorise(ALICE, CUSTOMER, "u", now=2)


def test_what_comes_too_late_changes_nothing() -> None:
    session = Session(LIMITS)
    session.bind(ALICE, now=0)
    session.log_in(ALICE)
    assert session.end(StopReason.DRAINED) is StopReason.DRAINED
    with pytest.raises(SessionOverError):
        session.volume_given(GENERATION)
    with pytest.raises(SessionOverError):
        session.opened()
    assert session.key_refused(now=1) is None
    assert session.tick(now=1e9) is None
    assert session.end(StopReason.LOGOUT) is None


def test_a_dedicated_process_goes_on_after_a_session_but_not_with_its_tokens() -> None:
    session = opened("t", dedicated=True)
    assert session.logout(ALICE, CUSTOMER, "t", now=1) is StopReason.LOGOUT
    session.bind(ALICE, now=1)
    session.log_in(ALICE)
    session.opened()
    session.join(METER, "u", now=2)
    with pytest.raises(UnknownTokenError):
        session.authorise(ALICE, CUSTOMER, "t", now=2)
    assert session.end(StopReason.DRAINED) is StopReason.DRAINED
    assert session.phase is Phase.OVER


def test_a_dedicated_process_does_not_count_wrong_keys() -> None:
    session = locked(dedicated=True)
    assert {session.key_refused(now=1) for _ in range(10)} == {None}
    assert session.open_failed() is None
    assert session.deadline() is None


def test_tokens_of_a_dedicated_processs_ended_session_are_expired_ones() -> None:
    session = opened("t", dedicated=True)
    session.tick(now=600)
    session.opened()
    session.join(CUSTOMER, "u", now=700)
    with pytest.raises(ExpiredTokenError):
        session.authorise(ALICE, CUSTOMER, "t", now=700)
    assert session.deadline() == 880


def test_a_repeated_login_takes_the_place_of_the_one_whose_answer_was_lost() -> None:
    session = locked()
    session.opened()
    session.join(CUSTOMER, "lost", 0, "one")
    session.join(METER, "meter", 0, "one")
    session.join(CUSTOMER, "known", 1, "one")
    with pytest.raises(UnknownTokenError):
        session.authorise(ALICE, CUSTOMER, "lost", 1)
    assert session.logout(ALICE, METER, "meter", 2) is None
    assert session.logout(ALICE, CUSTOMER, "known", 2) is StopReason.LOGOUT


def test_logins_without_a_name_or_of_another_name_stay() -> None:
    session = locked()
    session.opened()
    for token, login_id in (("a", None), ("b", None), ("c", "one")):
        session.join(CUSTOMER, token, 0, login_id)
    for token in ("a", "b"):
        assert session.logout(ALICE, CUSTOMER, token, 2) is None
    assert session.logout(ALICE, CUSTOMER, "c", 2) is StopReason.LOGOUT


def test_a_token_of_another_generation_is_told_apart_from_a_guess() -> None:
    session = locked()
    session.opened()
    token = session.name("secret")
    session.join(CUSTOMER, token, 0)
    session.authorise(ALICE, CUSTOMER, token, 1)
    for stale in ("6.secret", "8.secret"):
        with pytest.raises(StaleTokenError):
            session.authorise(ALICE, CUSTOMER, stale, 1)
    for guess in ("7.guess", "secret", "6.", ".secret", "six.secret", "-6.secret"):
        with pytest.raises(UnknownTokenError):
            session.authorise(ALICE, CUSTOMER, guess, 1)


def test_a_process_that_has_no_claim_yet_knows_no_token_at_all() -> None:
    with pytest.raises(StaleTokenError):
        Session(LIMITS).authorise(ALICE, CUSTOMER, "6.secret", 0)
    with pytest.raises(UnknownTokenError):
        Session(LIMITS).authorise(ALICE, CUSTOMER, "secret", 0)


def test_clients_who_log_in_again_and_again_do_not_keep_a_session_open_for_ever() -> None:
    session = opened("first", now=0)
    for number in range(10):
        now = 150.0 * number
        assert session.tick(now) is None
        session.join(METER, f"t{number}", now)
    assert session.join(CUSTOMER, "last", 1499) == 1
    assert session.deadline() == 1500
    with pytest.raises(ExpiredTokenError):
        session.authorise(ALICE, CUSTOMER, "last", 1500)
    with pytest.raises(SessionOverError):
        session.join(CUSTOMER, "late", 1500)
    assert session.tick(1500) is StopReason.EXPIRED


def test_each_session_of_a_dedicated_process_has_its_own_longest_time() -> None:
    session = opened("first", now=0, dedicated=True)
    assert session.logout(ALICE, CUSTOMER, "first", 10) is StopReason.LOGOUT
    session.opened()
    assert session.join(CUSTOMER, "second", 1400) == 600
    assert session.tick(1579) is None
