"""The application's own check of its servers' environment."""

import sys
from pathlib import Path

import pytest

from app_wrapper import application, checking
from app_wrapper.settings import LauncherKind, Settings
from standby.ids import WrapperId
from standby.settings import SettingsError

_PROGRAM = """
import os, sys
print("on stdout")
print("first\\n" + os.environ.get("X_SAYS", ""), file=sys.stderr)
sys.exit(int(os.environ.get("X_STATUS", "0")))
"""


def _settings(tmp_path: Path, launcher: LauncherKind = LauncherKind.SPAWN) -> Settings:
    (tmp_path / "check.py").write_text(_PROGRAM)
    (tmp_path / "app.toml").write_text(
        'name = "x"\ncommand = ["x"]\ncheck = ["{python}", "{app_dir}/check.py"]\n'
        '[env]\npass = ["X_*"]\nset = { X_SLOT = "{slot_dir}", X_MAX = "{session_max}" }\n'
    )
    return Settings(
        id=WrapperId("w1"),
        app=tmp_path / "app.toml",
        state_dir=tmp_path,
        volumes_dir=tmp_path,
        launcher=launcher,
    )


async def _check(settings: Settings, **environ: str) -> None:
    app = application.load(settings.app)
    await checking.refuse_unusable(settings, app, environ)


async def test_what_can_work_is_let_pass(tmp_path: Path) -> None:
    await _check(_settings(tmp_path), X_SAYS="a warning")


async def test_exit_status_78_refuses_with_the_last_line_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        await _check(_settings(tmp_path), X_STATUS="78", X_SAYS="\x1b[31mX_A=0 is too few")
    assert str(raised.value) == (
        r"servers of x cannot work with their settings: \x1b[31mX_A=0 is too few"
    )


@pytest.mark.parametrize(("status", "text"), [("1", "exit status 1: why"), ("-", "exit status 1")])
async def test_any_other_failure_is_logged_and_servers_are_started(
    status: str, text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await _check(_settings(tmp_path), X_STATUS=status, X_SAYS="why")
    (record,) = caplog.records
    assert record.msg == "application_not_checked"
    assert text in record.__dict__["fields"]["text"]


async def test_a_check_that_cannot_be_run_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = _settings(tmp_path)
    text = settings.app.read_text().replace("{python}", "/no/such/program")
    settings.app.write_text(text)
    await _check(settings)
    assert [each.msg for each in caplog.records] == ["application_not_checked"]


async def test_nothing_is_run_for_servers_in_enclaves(tmp_path: Path) -> None:
    await _check(_settings(tmp_path, LauncherKind.SCONE), X_STATUS="78")


async def test_what_app_toml_gives_each_server_cannot_be_set_besides(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="X_SLOT has no effect"):
        await _check(_settings(tmp_path), X_SLOT="/somewhere")


async def test_the_python_that_runs_it_is_this_one(tmp_path: Path) -> None:
    app = application.load(_settings(tmp_path).app)
    assert application.check_command(app, tmp_path) == [sys.executable, f"{tmp_path}/check.py"]
