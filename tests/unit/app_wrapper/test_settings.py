from typing import Any

import pytest

from app_wrapper.settings import PREFIX, Mode, Settings
from standby.approach import Approach
from standby.settings import SettingsError, describe, load, to_environ

NEEDED = {
    "APP_WRAPPER_ID": "w1",
    "APP_WRAPPER_APP": "app.toml",
    "APP_WRAPPER_STATE_DIR": "state",
    "APP_WRAPPER_VOLUMES_DIR": "volumes",
}


def _load(**changes: str) -> Settings:
    return load(
        Settings, PREFIX, NEEDED | {f"{PREFIX}_{key}": text for key, text in changes.items()}
    )


def test_four_settings_are_enough() -> None:
    settings = _load()
    assert (settings.approach, settings.mode, settings.pool_size) == (
        Approach.STANDBY,
        Mode.STANDALONE,
        2,
    )


def test_settings_survive_the_environment() -> None:
    settings = _load(APPROACH="on-demand", FIRST_PORT="4000", LAST_PORT="4010", SERVER_STOP="0.5")
    assert load(Settings, PREFIX, to_environ(settings, PREFIX)) == settings


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ID": "Not a label"}, "APP_WRAPPER_ID"),
        ({"FIRST_PORT": "4000"}, "APP_WRAPPER_LAST_PORT"),
        ({"FIRST_PORT": "4001", "LAST_PORT": "4000"}, "is above APP_WRAPPER_LAST_PORT"),
        ({"REPORT_URLS": "https://127.0.0.1:1"}, "APP_WRAPPER_TLS_CERTIFICATE"),
        ({"REPORT_URLS": "http://127.0.0.1:1"}, "APP_WRAPPER_REPORT_URLS"),
        ({"POOL_SIZE": "3", "CAPACITY": "2"}, "above APP_WRAPPER_CAPACITY"),
        ({"FIRST_PORT": "4000", "LAST_PORT": "4001", "POOL_SIZE": "3"}, "as many ports"),
        ({"POOLSIZE": "3"}, "did you mean APP_WRAPPER_POOL_SIZE"),
        ({"APPROACH": "guess"}, "APP_WRAPPER_APPROACH"),
        ({"HEARTBEAT": "0"}, "APP_WRAPPER_HEARTBEAT"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        _load(**changes)


def test_capacity_follows_the_approach_unless_it_is_set() -> None:
    assert _load(APPROACH="on-demand", POOL_SIZE="7").most == 7
    assert _load(APPROACH="trivial").most == 1000
    assert _load(APPROACH="trivial", CAPACITY="5").most == 5


def test_every_setting_is_described() -> None:
    assert all(doc.description for doc in describe(Settings, PREFIX))
