"""Servers run at a lower priority than their wrapper, also where the wrapper is not root."""

import os
import subprocess

from standby import processes
from tests.integration.standby import OTHER_UIDS, become, in_child


def niceness_of_a_server() -> list[int]:
    """In the child: of a server that starts, and one that serves; and of its wrapper."""
    become(OTHER_UIDS[-1])
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as server:
        try:
            processes.give_way(server.pid)
            starting = os.getpriority(os.PRIO_PROCESS, server.pid)
            processes.take_turns_again(server.pid)
            serving = os.getpriority(os.PRIO_PROCESS, server.pid)
        finally:
            server.kill()
    return [starting, serving, os.getpriority(os.PRIO_PROCESS, 0)]


def test_without_rights_a_server_is_nicer_than_its_wrapper_from_the_start() -> None:
    starting, serving, wrapper = in_child(niceness_of_a_server)
    assert starting == serving == processes.SERVING_NICENESS > wrapper
