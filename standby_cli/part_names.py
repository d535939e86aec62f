"""What the parts are called that have one process in a platform; wrappers are called by their ids."""

from typing import Final

ROUTING_MANAGER: Final = "routing-manager"
HAPROXY: Final = "haproxy"
