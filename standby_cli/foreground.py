"""A supervisor in this process: from its first line of log to its exit status."""

import asyncio
import signal
import sys
from typing import Final

from standby import logs
from standby.errors import PlatformError
from standby.hardening.process import not_dumpable
from standby.settings import SettingsError
from standby_cli import up
from standby_cli.errors import CommandError
from standby_cli.layout import Layout
from standby_cli.options import Options
from standby_cli.progress import READY, Tell, failed
from standby_cli.rotating import RotatingFile, RotatingStream
from standby_cli.settings import Settings

_SIGNALLED: Final = 128
"""What a shell adds to the number of a signal that ended a command."""


class _End:
    """Whether and how the platform was asked to end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.ready = False
        """Whether it was ready before."""
        self.early: int | None = None
        """The signal that came while it was not."""

    def ask(self, number: int) -> None:
        if not self.ready and self.early is None:
            self.early = number
        self.asked.set()


def log_to_file(layout: Layout, limits: Settings) -> None:
    """This process's own log, and whatever else it prints, in files of bounded size."""
    printed = (sys.stdout.fileno(), sys.stderr.fileno())
    file = RotatingFile(layout.log("supervisor"), limits, _unheard, printed)
    logs.configure("supervisor", stream=RotatingStream(file))


def _unheard(_lines: int, _why: str) -> None:
    """The log that would say it is the one that cannot be written."""


def supervise(options: Options, layout: Layout, tell: Tell) -> None:
    """Keep a platform running until a signal asks to end; `tell` is told how it goes."""
    not_dumpable()  # it opens the seal
    end = _End()

    def listen(text: str) -> None:
        end.ready = end.ready or text == READY
        tell(text)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, end.ask, number)
        await up.bring_up(options, layout, listen, end.asked)

    try:
        asyncio.run(main())
    except (CommandError, PlatformError, SettingsError, OSError) as error:
        tell(failed(error))
        raise
    if end.early is not None:
        sys.exit(_SIGNALLED + end.early)
