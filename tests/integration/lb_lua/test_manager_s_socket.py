"""HAProxy asks a real Routing Manager over a Unix socket, however long the path to it is."""

import ssl
from pathlib import Path

from routing_manager.settings import Settings
from tests.integration.routing_manager.test_process import event, running
from tests.support.balancer import balancer


async def test_the_answer_comes_over_a_socket_with_a_long_path(
    context: ssl.SSLContext, tmp_path: Path
) -> None:
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    path = deep / "routes.sock"
    settings = Settings(port=0, settle=0.0, waiting_room=0.2, routes_socket=path)
    async with running(settings) as manager:
        await event(manager, "listening")
        with balancer(deep / "lb", routing_manager_socket=path) as lb:
            for _ in range(3):  # over a fresh connection and over a kept one
                assert await lb.alert_reason("alice", context) == "TLSV1_ALERT_INTERNAL_ERROR"
            await lb.logged(refusal="no_capacity")
            manager.kill()
            await manager.wait()
            assert await lb.alert_reason("alice", context) == "TLSV1_CERTIFICATE_UNOBTAINABLE"
            await lb.logged(refusal="routing_manager_away")
