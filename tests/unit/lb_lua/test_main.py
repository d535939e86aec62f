"""What is done before HAProxy runs."""

import resource
import stat
from pathlib import Path

import pytest

from lb_lua.__main__ import alerts, check_open_files, write_private
from lb_lua.settings import Settings
from standby.settings import SettingsError

SETTINGS = Settings(port=8443, runtime_dir=Path("/run/lb"), max_connections=1000)


def test_too_few_open_files_are_said_with_both_numbers() -> None:
    with pytest.raises(SettingsError, match=r"1000 needs \d+ .* limit is 4096"):
        check_open_files(SETTINGS, 4096)


@pytest.mark.parametrize("limit", [8000, resource.RLIM_INFINITY])
def test_enough_open_files_are_enough(limit: int) -> None:
    check_open_files(SETTINGS, limit)


def test_the_configuration_is_private_and_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_text("older and longer")
    path.chmod(0o666)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_of_haproxy_s_words_the_alerts_are_quoted() -> None:
    output = (
        "[NOTICE]   (7) : haproxy version is 2.6\n"
        "[ALERT]    (7) : config : parsing [x.cfg:3] : unknown keyword\n"
        "[ALERT]    (7) : config : Fatal errors found in configuration.\n"
    )
    assert alerts(output) == (
        "config : parsing [x.cfg:3] : unknown keyword; config : Fatal errors found in configuration."
    )


def test_haproxy_s_words_are_quoted_whole_when_there_is_no_alert() -> None:
    assert alerts("Segmentation fault\n") == "Segmentation fault"
