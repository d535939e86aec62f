"""Plain tools are clients too."""

import asyncio
import json
from pathlib import Path
from typing import Any

from standby.identity import Role
from tests.support.certificates import Certificates
from tests.support.smartgrid import KEY, Server, kept, new_volume, running, volumes


async def curl(
    certificates: Certificates, server: Server, role: Role, path: str, *options: str
) -> dict[str, Any]:
    files = certificates.user("alice", role)
    process = await asyncio.create_subprocess_exec(
        "curl",
        "--silent",
        "--show-error",
        "--connect-to",
        f"alice:443:127.0.0.1:{server.port}",
        "--cacert",
        files.authorities,
        "--cert",
        files.certificate,
        "--key",
        files.key,
        *options,
        f"https://alice/v1/{path}",
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    answer: dict[str, Any] = json.loads(output)
    return answer


async def test_a_session_by_curl_alone(certificates: Certificates, tmp_path: Path) -> None:
    async with running(certificates, volumes(alice=new_volume(tmp_path, "alice"))) as server:

        async def call(role: Role, path: str, token: str = "", data: object = None) -> Any:
            options = ["--header", f"Authorization: Bearer {token}"] if token else []
            options += ["--data", json.dumps(data)] if data is not None else []
            return await curl(certificates, server, role, path, *options)

        key = {"key": KEY}
        meter = (await call(Role.METER, "login", data=key))["token"]
        customer = (await call(Role.CUSTOMER, "login", data=key))["token"]
        batch = {"rows": [[1170288000, 1.5, 2.0, 240.0]]}
        stored = await call(Role.METER, "long-write", meter, batch)
        assert stored == kept(stored=1)
        averages = await call(Role.CUSTOMER, "query-avg?metric=tension", customer)
        assert averages["average"] == 240.0
        assert (await call(Role.METER, "logout", meter, {}))["ended"] is False
        assert (await call(Role.CUSTOMER, "logout", customer, {}))["ended"] is True
        assert await server.ends() == 0
