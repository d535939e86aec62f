"""`python -m app_wrapper`."""

import sys

from app_wrapper.settings import PREFIX, Settings
from app_wrapper.wrapper import main
from standby import service
from standby.hardening.process import limit_resources, not_dumpable

if __name__ == "__main__":
    # servers inherit this: a core dump would put a user's key on the disk
    limit_resources()
    # it has the key that certifies servers; processes of the same account may not trace it
    not_dumpable()
    sys.exit(
        service.run(
            "app_wrapper",
            "Keeps a pool of server processes, and brings users' data to them.",
            Settings,
            PREFIX,
            main,
        )
    )
