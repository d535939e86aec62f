"""`python -m smartgrid_server`: one server process."""

import os
import sys

from smartgrid_server import main
from smartgrid_server.settings import PREFIX, Settings
from standby.service import run


def start() -> int:
    """One life of a server, by the settings in the environment; returns its exit status."""
    return run("smartgrid_server", str(main.__doc__), Settings, PREFIX, main.run, arguments=())


if __name__ == "__main__":
    status = start()
    # Nothing is left to be done, and the interpreter's own tidying up would keep the slot from its next process.
    sys.stdout.flush()
    os._exit(status)
