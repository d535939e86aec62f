"""A whole session of the example application in a process with every layer, which can read its own files only."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest

from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.connection import Address
from smartgrid_client.messages import Metric
from smartgrid_client.readings import Reading
from standby.hardening import Layer, Outcome
from standby.identity import Role
from standby.ids import Uid, new_boot_id
from tests.integration.standby import NOBODY, ROOT, directory_of
from tests.support.certificates import Certificates
from tests.support.smartgrid import Server, new_volume, secret, stored, volumes
from tests.support.waiting import eventually

_SERVER: Final = """
import json, os, sys
from pathlib import Path
from smartgrid_server import main
from smartgrid_server.settings import PART, PREFIX, Settings
from standby import service, settings
from standby.hardening import Places, Plan, harden
from standby.hardening.libraries import library_places

libraries, volume, uid = json.loads(sys.argv[1])
service.configure_logs(PART, PREFIX)
loaded = settings.load(Settings, PREFIX, os.environ)
if not libraries:
    import cryptography.hazmat.backends.openssl.backend  # at its first signature, otherwise
own = loaded.issuer_certificate, loaded.issuer_key, loaded.client_authorities
read_only = own + (library_places() if libraries else ())
report = harden(Plan(places=Places(read_only=read_only, read_write=(Path(volume),)), run_as=uid))
print("HARDENED", json.dumps([[each.layer, each.outcome] for each in report.layers]), flush=True)
sys.exit(service.live(PART, lambda: loaded, main.run))
"""
_ROWS: Final = 2880


class Place:
    """Certificates and a volume that belong to the server's uid."""

    def __init__(self, directory: Path, certificates: Certificates, uid: int | None) -> None:
        self.uid = uid
        self.volume = new_volume(directory, "anna")
        self.files = {
            "SMARTGRID_ISSUER_CERTIFICATE": certificates.issuer_certificate,
            "SMARTGRID_ISSUER_KEY": certificates.issuer_key,
            "SMARTGRID_CLIENT_AUTHORITIES": certificates.users_ca,
        }
        for variable, file in self.files.items():
            self.files[variable] = Path(shutil.copy(file, directory))
        if uid is not None:
            for each in directory.rglob("*"):
                os.chown(each, uid, uid)


@contextlib.asynccontextmanager
async def _serving(place: Place, *, libraries: bool) -> AsyncIterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _SERVER,
            json.dumps([libraries, str(place.volume), place.uid]),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=[sock.fileno()],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"]}
            | {"SMARTGRID_LISTEN_FD": str(sock.fileno()), "SMARTGRID_HARDENING": "off"}
            | {variable: str(file) for variable, file in place.files.items()},
        )
        port = sock.getsockname()[1]
    server = Server(process, port, new_boot_id(), volumes(anna=place.volume))
    listening = asyncio.create_task(server.listen())
    try:
        await server.says("WAITING_LOGIN")
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await listening
        server.close_stdin()


def _outcomes(server: Server) -> dict[str, str]:
    line = next(line for line in server.said if line.startswith("HARDENED "))
    return dict(json.loads(line.removeprefix("HARDENED ")))


@pytest.mark.parametrize(
    ("uid", "libraries"),
    [
        pytest.param(None, True, id="libraries-readable"),
        pytest.param(None, False, id="nothing-but-its-files"),
        pytest.param(
            NOBODY,
            False,
            id="as-another-uid",
            marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its uid"),
        ),
    ],
)
async def test_a_hardened_server_serves_a_session(
    uid: int | None, libraries: bool, certificates: Certificates
) -> None:
    batch = Batch(tuple(Reading(1_600_000_000 + 15 * n, 2.0, 0.5, 231.0) for n in range(_ROWS)))
    with directory_of(uid) as directory:
        place = Place(directory, certificates, uid)
        async with _serving(place, libraries=libraries) as server:
            outcomes = _outcomes(server)
            assert set(outcomes) == set(Layer)
            failed = {layer for layer, outcome in outcomes.items() if outcome == Outcome.FAILED}
            assert failed == ({Layer.OWN_UID} if os.geteuid() == 0 and uid is None else set())
            address = Address("127.0.0.1", server.port, Uid("anna"))
            async with (
                SmartGridClient(address, certificates.user("anna", Role.METER)) as meter,
                SmartGridClient(address, certificates.user("anna")) as customer,
            ):
                await meter.login(secret())
                assert (await meter.long_write(batch)).stored == _ROWS
                await customer.login(secret())
                assert (await customer.query_avg(Metric.POWER)).average == 2.0
                await customer.logout()
                await meter.logout()
            await eventually(lambda: "LOGOUT logout" in server.said, "the server says LOGOUT")
            assert await server.ends() == 0
        assert len(stored(place.volume, "metrics")) == _ROWS
