"""`python -m app_wrapper`."""

import resource
import sys

from app_wrapper.settings import PREFIX, Settings
from app_wrapper.wrapper import main
from standby import service

if __name__ == "__main__":
    # servers inherit this: a core dump would put a user's key on the disk
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(
        service.run(
            "app_wrapper",
            "Keeps a pool of server processes, and brings users' data to them.",
            Settings,
            PREFIX,
            main,
        )
    )
