"""A real HAProxy, started as `python -m lb_lua`, and what a client sees of it."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lb_lua.settings import PREFIX, Settings
from standby import unix_sockets
from standby.processes import dies_with_parent, reserve_port
from standby.settings import to_environ
from tests.support.waiting import eventually, eventually_sync

CLIENT_DEADLINE: Final = 10.0
ALERT_SIZE: Final = 7
_ONE_SOURCE: Final = {
    "source_share": 0,
    "connection_rate": 1_000_000,
    "logged_connections": 1_000_000,
}
"""All clients of a test come from one address, and what is logged of them is looked at."""


@dataclass(frozen=True)
class Balancer:
    settings: Settings
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> tuple[str, int]:
        return self.settings.host, self.settings.port

    def connections(self) -> list[dict[str, Any]]:
        """HAProxy's log so far: one record per connection that ended, and one for each time that it was moved on."""
        lines = (self.settings.runtime_dir / "log").read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines if line.startswith("{")]
        return [record for record in records if record["event"].startswith("connection")]

    async def logged(self, **fields: object) -> dict[str, Any]:
        """The first record with these fields, waited for; of the connection itself unless `event` says otherwise."""
        fields = {"event": "connection", **fields}
        found = await eventually(
            lambda: [each for each in self.connections() if fields.items() <= each.items()],
            f"a log line with {fields}",
        )
        return found[0]

    async def say(self, uid: str, context: ssl.SSLContext, text: str) -> str:
        """What the server process behind `uid` answers to one line; raises `ssl.SSLError` on an alert."""
        async with asyncio.timeout(CLIENT_DEADLINE):
            reader, writer = await asyncio.open_connection(
                *self.address, ssl=context, server_hostname=uid
            )
            try:
                writer.write(text.encode() + b"\n")
                return (await reader.readline()).decode().strip()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def alert_reason(self, uid: str, context: ssl.SSLContext) -> str:
        """The name of the alert that a TLS client gets which asks for `uid`."""
        try:
            answer = await self.say(uid, context, "hello")
        except ssl.SSLError as error:
            return str(error.reason)
        raise AssertionError(f"{uid} was connected, and answered {answer!r}")

    async def alert(self, data: bytes) -> int:
        """The alert that answers these bytes; everything after it is the end of the connection."""
        async with asyncio.timeout(CLIENT_DEADLINE):
            reader, writer = await asyncio.open_connection(*self.address)
            try:
                writer.write(data)
                answer = await reader.read(-1)
            finally:
                writer.close()
                await writer.wait_closed()
        assert len(answer) == ALERT_SIZE
        assert answer[:6] == bytes((21, 3, 3, 0, 2, 2))
        return answer[6]


@contextlib.contextmanager
def balancer(directory: Path, **changes: object) -> Iterator[Balancer]:
    """HAProxy with these settings while the context lasts; its port is reserved as a supervisor does.

    Unless `changes` say otherwise, it keeps to no budget of one source.
    """
    with reserve_port() as reserved:
        port = reserved.getsockname()[1]
        settings = Settings(port=port, runtime_dir=directory, **(_ONE_SOURCE | changes))  # type: ignore[arg-type]  # by name
        directory.mkdir(exist_ok=True)
        with (directory / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "lb_lua"],
                env={**os.environ, **to_environ(settings, PREFIX)},
                stderr=log,
                preexec_fn=dies_with_parent(),  # noqa: PLW1509  # single-threaded at this point
            )
        try:
            eventually_sync(lambda: _listens(settings, process), "HAProxy listens")
            yield Balancer(settings, process)
        finally:
            process.terminate()
            process.wait()


def _listens(settings: Settings, process: subprocess.Popen[bytes]) -> bool:
    text = (settings.runtime_dir / "log").read_text(encoding="utf-8")
    assert process.poll() is None, text
    with socket.socket(socket.AF_UNIX) as admin, contextlib.suppress(OSError):
        with unix_sockets.named(settings.admin_socket) as name:
            admin.connect(name)
        return True
    return False


def client_hello(name: str | None) -> bytes:
    """The first bytes of a TLS client that asks for `name`."""
    outgoing = ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def client_hello_with(name: bytes) -> bytes:
    """As `client_hello`, for names that a TLS library refuses to send."""
    stand_in = "".join("." if index == 50 else "0" for index in range(len(name)))
    return client_hello(stand_in).replace(stand_in.encode(), name)
