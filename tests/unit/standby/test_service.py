"""Every part says what can be set of it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("part", "variable"),
    [
        ("routing_manager", "ROUTING_MANAGER_PORT"),
        ("app_wrapper", "APP_WRAPPER_POOL_SIZE"),
        ("lb_lua", "LB_LUA_PORT"),
        ("smartgrid_server", "SMARTGRID_ISSUER_KEY"),
    ],
)
def test_help_lists_the_settings(part: str, variable: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", part, "--help"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert variable in done.stdout
