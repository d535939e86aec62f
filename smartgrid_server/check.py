"""`python -m smartgrid_server.check`: whether a server could work with this environment; none is started.

Looked at is what can be wrong for every server at once, and quickly: settings, and the file that all of them read.
"""

import os
import sys

from smartgrid_server.settings import PART, PREFIX, Settings
from standby import logs, settings
from standby.errors import words
from standby.exit_codes import EXIT_CONFIG
from standby.settings import SettingsError


def check() -> None:
    """Load the settings, as a server does.

    Raises:
        SettingsError: which one is wrong, and why.
    """
    logs.level_of(PREFIX, os.environ)
    loaded = settings.load(Settings, PREFIX, os.environ)
    try:
        with loaded.client_authorities.open("rb"):
            pass
    except OSError as error:
        raise SettingsError(f"{PREFIX}_CLIENT_AUTHORITIES: {words(error)}") from error


if __name__ == "__main__":
    try:
        check()
    except SettingsError as error:
        print(f"{PART}: {error}", file=sys.stderr)
        sys.exit(EXIT_CONFIG)
