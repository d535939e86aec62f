"""No part starts with a variable of its own that it does not know."""

import os
import subprocess
import sys

import pytest

from standby.exit_codes import EXIT_CONFIG


def _run(module: str, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", module],
        env=os.environ | environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "variable", "meant"),
    [
        ("routing_manager", "ROUTING_MANAGER_PROT", "ROUTING_MANAGER_PORT"),
        ("app_wrapper", "APP_WRAPPER_POOLSIZE", "APP_WRAPPER_POOL_SIZE"),
        ("lb_lua", "LB_LUA_THRAEDS", "LB_LUA_THREADS"),
        ("smartgrid_server", "SMARTGRID_MAXROWS", "SMARTGRID_MAX_ROWS"),
        ("smartgrid_server.check", "SMARTGRID_MAXROWS", "SMARTGRID_MAX_ROWS"),
        ("standby_cli", "STANDBY_STATEDIR", "STANDBY_STATE_DIR"),
    ],
)
def test_a_misspelt_name_ends_the_part_with_the_name_that_is_meant(
    module: str, variable: str, meant: str
) -> None:
    more = ["status"] if module == "standby_cli" else []
    done = subprocess.run(
        [sys.executable, "-m", module, *more],
        env=os.environ | {variable: "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == EXIT_CONFIG, done.stderr
    assert f"there is no setting {variable}; did you mean {meant}?" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("module", "prefix"),
    [
        ("routing_manager", "ROUTING_MANAGER"),
        ("app_wrapper", "APP_WRAPPER"),
        ("lb_lua", "LB_LUA"),
        ("smartgrid_server", "SMARTGRID"),
        ("smartgrid_server.check", "SMARTGRID"),
    ],
)
def test_a_level_of_logs_that_there_is_not_is_one_sentence(module: str, prefix: str) -> None:
    done = _run(module, {f"{prefix}_LOG_LEVEL": "loud"})
    assert done.returncode == EXIT_CONFIG, done.stderr
    assert f"{prefix}_LOG_LEVEL=loud: expected one of DEBUG, INFO" in done.stderr
    assert "Traceback" not in done.stderr
