"""`python -m smartgrid_server`: one server process."""

import os
import sys
from functools import partial

from smartgrid_server import main
from smartgrid_server.hardening import Rights
from smartgrid_server.settings import PART, PREFIX, Settings
from standby.hardening.libraries import library_places
from standby.service import run

if __name__ == "__main__":
    rights = Rights(library_places())
    hardened = partial(main.run, hardened=rights.outcomes)
    status = run(PART, str(main.__doc__), Settings, PREFIX, hardened, rights.give_up)
    # Nothing is left to be done, and the interpreter's own tidying up would keep the slot from its next process.
    sys.stdout.flush()
    os._exit(status)
