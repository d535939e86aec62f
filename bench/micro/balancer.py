"""A second load balancer, with a static map, in front of servers that another platform runs."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from lb_lua.admin import Admin, AdminError
from lb_lua.settings import PREFIX, Settings
from standby.processes import dies_with_parent, reserve_port
from standby.settings import to_environ

Places = Mapping[str, tuple[str, int]]
"""Address and port of each user's server."""


@contextlib.asynccontextmanager
async def static_balancer(places: Places) -> AsyncIterator[int]:
    """Its port, while the context lasts."""
    with tempfile.TemporaryDirectory(prefix="bench-lb-") as scratch, reserve_port() as reserved:
        static_map = Path(scratch) / "users.map"
        lines = [f"{uid} {address}:{port}\n" for uid, (address, port) in places.items()]
        static_map.write_text("".join(lines))
        settings = Settings(
            port=reserved.getsockname()[1], runtime_dir=Path(scratch), static_map=static_map
        )
        process = subprocess.Popen(  # noqa: ASYNC220  # nothing else is measured meanwhile
            [sys.executable, "-m", "lb_lua"],
            env={**os.environ, **to_environ(settings, PREFIX)},
            stderr=subprocess.DEVNULL,
            preexec_fn=dies_with_parent(),  # noqa: PLW1509  # one thread only
        )
        try:
            await _until_up(Admin(settings.admin_socket))
            yield settings.port
        finally:
            process.terminate()
            process.wait()


async def _until_up(admin: Admin) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(AdminError):
                await admin.info()
                return
            await asyncio.sleep(0.01)
