"""`python -m smartgrid_server.template`: from which servers are forked; see `standby.template`.

All imports are done here, and nothing else: settings, certificates, keys and the event loop are the server's own.
"""

import os
import sys

from smartgrid_server.__main__ import start
from standby.template import serve

if __name__ == "__main__":
    status = serve(start)
    sys.stdout.flush()
    os._exit(status)
