from app_wrapper.backoff import Backoff


def test_pauses_double_up_to_the_limit() -> None:
    backoff = Backoff(first=0.5, most=4.0)
    assert [backoff.delay(failures) for failures in range(7)] == [0, 0.5, 1, 2, 4, 4, 4]


def test_any_number_of_failures_has_a_pause() -> None:
    assert Backoff(first=0.5, most=4.0).delay(10**9) == 4.0
