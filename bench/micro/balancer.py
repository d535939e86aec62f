"""A second load balancer, with a static map, in front of servers that another platform runs."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from bench.part import part
from bench.platform import NO_LIMIT
from lb_lua.admin import Admin, AdminError
from lb_lua.settings import PREFIX, Settings
from standby.processes import reserve_port

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
            port=reserved.getsockname()[1],
            runtime_dir=Path(scratch),
            static_map=static_map,
            source_share=0,
            connection_rate=NO_LIMIT,
        )
        with part("lb_lua", settings, PREFIX):
            await _until_up(Admin(settings.admin_socket))
            yield settings.port


async def _until_up(admin: Admin) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(AdminError):
                await admin.info()
                return
            await asyncio.sleep(0.01)
