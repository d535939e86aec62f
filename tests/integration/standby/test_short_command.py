"""A command is run to its end, and does not outlast its deadline."""

import sys

import pytest

from standby import short_command

_PRINTS = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)"
_STAYS = "import signal; signal.pause()"


async def test_what_it_prints_and_how_it_ends_is_known() -> None:
    assert await short_command.run([sys.executable, "-c", _PRINTS], 60) == (3, "out\n", "err\n")


async def test_one_that_stays_is_ended() -> None:
    with pytest.raises(TimeoutError):
        await short_command.run([sys.executable, "-c", _STAYS], 0.1)


async def test_one_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await short_command.run(["/nowhere/program"], 60)
