"""Servers for SCONE's enclaves, as far as they can be started without SCONE: by stand-ins for its runtime."""

import asyncio
import contextlib
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from msgspec import structs

from app_wrapper import application
from app_wrapper.application import Application, SocketMode
from app_wrapper.launchers import Handle, LaunchError, LaunchRequest
from app_wrapper.launchers.scone import SconeLauncher
from app_wrapper.listening import Listening
from attestation.scone import deploy, session
from attestation.scone.pool import Pool
from standby.ids import parse_uid
from tests.support.certificates import Certificates
from tests.support.launching import Server, launched
from tests.support.waiting import eventually
from tests.support.wrapper import APPS

_DIRECTORY: Final = APPS / "scone"
_APP: Final = application.load(_DIRECTORY / "app.toml")
_DESCRIPTION: Final[dict[str, Any]] = {
    "name": "tiny",
    "image": "tiny:1",
    "base": "scone:1",
    "command": ["/bin/tiny"],
    "heap": "64M",
    "session": "of/tiny",
    "mrenclave": ["ab" * 32],
    "environment": {"host": ["SERVER_HOST", "SERVER_PORT"]},
    "cas": {"address": "cas"},
    "las": {"address": "las"},
}
_HOST: Final = {
    "PATH": "/bin:/usr/bin",
    "HOME": "/root",
    "SERVER_PASSWORD": "secret",
    "APP_WRAPPER_TLS_KEY": "/key.pem",
    "SCONE_MODE": "sim",
}


def _pool(**fields: Any) -> Pool:
    return msgspec.convert(_DESCRIPTION | fields, Pool)


def _taking(*names: str) -> dict[str, Any]:
    return {"environment": {"host": ["SERVER_HOST", "SERVER_PORT", *names]}}


class _InPortMode:
    """A launcher whose servers bind a port themselves."""

    def __init__(self, inner: SconeLauncher, **changes: Any) -> None:
        self.port = Listening("127.0.0.1", SocketMode.PORT).open().port
        self._inner = inner
        self._changes = {"fd": None, "port": self.port} | changes

    async def launch(self, request: LaunchRequest) -> Handle:
        return await self._inner.launch(structs.replace(request, **self._changes))

    def trouble(self) -> str | None:
        return self._inner.trouble()

    async def close(self) -> None:
        await self._inner.close()


@contextlib.asynccontextmanager
async def _started(
    directory: Path,
    app: Application = _APP,
    pool: Pool | None = None,
    environ: Mapping[str, str] = _HOST,
    **changes: Any,
) -> AsyncIterator[tuple[Server, int]]:
    launcher = SconeLauncher(app, _DIRECTORY, environ, pool or _pool())
    placed = _InPortMode(launcher, **changes)
    async with launched(placed, directory) as server:
        yield server, placed.port


async def _told(server: Server) -> dict[str, str]:
    await eventually(lambda: "WAITING_LOGIN" in server.lines, "the stand-in has told everything")
    shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    pairs = (line.partition("=") for line in server.lines if "=" in line and " " not in line)
    return {name: value for name, _, value in pairs if name not in shell}


async def test_a_server_has_what_scone_reads_and_what_the_session_takes_and_nothing_else(
    tmp_path: Path,
) -> None:
    environ = _HOST | {"TZ": "UTC", "SERVER_COLOUR": "red"}
    pool = _pool(**_taking("SERVER_COLOUR", "TZ"))
    async with _started(tmp_path, pool=pool, environ=environ) as (server, port):
        assert await _told(server) == {
            "SCONE_MODE": "hw",
            "SCONE_HEAP": "64M",
            "SCONE_STACK": "4M",
            "SCONE_CAS_ADDR": "cas",
            "SCONE_LAS_ADDR": "las",
            "SCONE_CONFIG_ID": "of/tiny/server",
            "SCONE_LOG": "ERROR",
            "SERVER_HOST": "127.0.0.1",
            "SERVER_PORT": str(port),
            "SERVER_FD": "",
            "SERVER_COLOUR": "red",
            "TZ": "UTC",
        }
        assert f"ARGUMENTS --port={port}" in server.lines


async def test_its_life_is_that_of_any_program(tmp_path: Path) -> None:
    async with _started(tmp_path) as (server, _):
        await _told(server)
        server.handle.answer("VOLUME /of/anna 1")
        await eventually(lambda: server.lines[-1] == "VOLUME /of/anna 1", "the answer is read")
        server.handle.close_stdin()
        assert (await server.ended()).text == "exit status 0"


def _with(**changes: Any) -> Application:
    return structs.replace(_APP, **changes)


def _setting(**variables: str) -> Application:
    return _with(env=structs.replace(_APP.env, set=_APP.env.set | variables))


_UNUSABLE: list[tuple[str, dict[str, Any]]] = [
    ("no-such-program", {"app": _with(command=["/no-such-program"])}),
    ("own interpreter", {"app": _with(command=["{python}", "-m", "tiny"])}),
    ("own interpreter", {"app": _with(command=[sys.executable])}),
    ('set socket = "port"', {"fd": 0}),
    ("no channel to the wrapper", {"attest_fd": 0}),
    ("does not take SERVER_UID", {"app": _setting(SERVER_UID="{uid}"), "uid": parse_uid("anna")}),
    ("does not take SERVER_PORT", {"pool": _pool(environment={"host": ["SERVER_HOST"]})}),
    ("neither sets nor passes", {"pool": _pool(**_taking("SERVER_COLOUR"))}),
    ("neither sets nor passes", {"pool": _pool(**_taking("HOME", "COLOUR"))}),
    ("sets SCONE_MODE, which pool.toml", {"app": _setting(SCONE_MODE="sim")}),
    ("a secret", {"app": _setting(SCONE_SERVICE_ACCESS_TOKEN="x")}),
    ("tolerate: with 'debug-mode'", {"pool": _pool(tolerate=["debug-mode"])}),
    ("one of them is needed", {"pool": _pool(mrenclave=[])}),
    (
        r"services\[0\]\.platforms\[0\].*bad_platform",
        {"pool": structs.replace(_pool(), platforms=["any"])},
    ),
]


@pytest.mark.parametrize(
    ("said", "case"), _UNUSABLE, ids=[f"{n}-{s}" for n, (s, _) in enumerate(_UNUSABLE)]
)
async def test_what_would_come_up_wrongly_is_not_started_and_not_tried_again(
    said: str, case: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(LaunchError, match=said) as refusal:
        async with _started(tmp_path, **case):
            pass
    assert refusal.value.lasting


async def test_what_is_empty_need_not_be_told(tmp_path: Path) -> None:
    app = _setting(SERVER_UID="{uid}")
    async with _started(tmp_path, app) as (server, _):
        assert (await _told(server))["SERVER_UID"] == ""


async def test_a_pool_with_a_protected_file_system_is_started_without_its_key(
    tmp_path: Path,
) -> None:
    pool = _pool(filesystem={"path": "/fs.fspf", "tag": "07" * 16})
    async with _started(tmp_path, pool=pool) as (server, _):
        assert (await _told(server))["SCONE_CONFIG_ID"] == "of/tiny/server"


_PAGE: Final = Path(__file__).parents[3] / "docs/how-to/run-with-scone.md"


def _of_the_page(tmp_path: Path, certificates: Certificates) -> tuple[Application, Pool, Path]:
    """The page's app.toml and pool.toml, for programs of this machine, and where they are started."""
    pool_text, app_text = (
        part.split("```")[0] for part in _PAGE.read_text().split("```toml\n")[1:3]
    )
    pool = msgspec.toml.decode(pool_text, type=Pool)
    authority = {path: certificates.users_ca.read_text() for path in pool.files}
    command = [sys.executable, *pool.command[1:]]
    pool = structs.replace(pool, command=command, files=authority)
    (tmp_path / "app.toml").write_text(app_text)
    file, inside = tmp_path / "session.yaml", tmp_path / "inside"
    file.write_text(session.text(pool))
    runtime = ["/usr/bin/env", sys.executable, str(_DIRECTORY / "runtime.py")]
    app = application.load(tmp_path / "app.toml")
    return structs.replace(app, command=[*runtime, str(file), str(inside)]), pool, inside


async def test_a_client_that_trusts_what_the_session_exports_reaches_the_example_server(
    tmp_path: Path, certificates: Certificates
) -> None:
    app, pool, inside = _of_the_page(tmp_path, certificates)
    async with _started(tmp_path, app, pool, {}) as (server, port):
        await eventually(lambda: "WAITING_LOGIN" in server.lines, "the server waits for a user")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        files = certificates.user("anna")
        context.load_cert_chain(files.certificate, files.key)
        context.load_verify_locations(inside / "exported.pem")
        async with asyncio.timeout(60):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=context, server_hostname="anna"
            )
        shown = writer.get_extra_info("peercert")
        writer.transport.abort()
        assert shown["issuer"] == ((("commonName", "smartgrid servers issuer"),),)


async def test_the_stand_in_ends_where_the_environment_is_not_the_pools(
    tmp_path: Path, certificates: Certificates
) -> None:
    app, pool, _ = _of_the_page(tmp_path, certificates)
    other = structs.replace(pool, session="of/another")
    async with _started(tmp_path, app, other, {}) as (server, _):
        assert (await server.ended()).lasting
    assert deploy.environment(other)["SCONE_CONFIG_ID"] == "of/another/server"
