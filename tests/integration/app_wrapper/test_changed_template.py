"""The program's files change under a real wrapper that forks attested servers, as in an upgrade of packages.

The pool goes on with the program as it was. Servers of the new program come when its template is ready, if the policy
admits them.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import smartgrid_server
from app_wrapper import application
from app_wrapper.measuring.launch import launch_of
from app_wrapper.settings import PREFIX, Attestation, LauncherKind, Settings
from attestation import trust
from attestation.audit import LOG_FILE
from attestation.measure.digests import DigestCache
from attestation.measure.launch import manifest_of
from attestation.measure.manifest import Entry, Kind, Manifest, measure
from standby import settings
from standby_cli import environs, trusted
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout
from tests.support.platform import spare_measuring
from tests.support.waiting import eventually
from tests.support.wrapper_process import WrapperProcess, started
from tests.unit.standby_cli.states import program

pytestmark = pytest.mark.timeout(600)
_POOL = 2
_SHORT = 12
_RELEASE = "release"
_KIND = Attestation.SOFT_DCAP
_LONG = 180.0
"""Seconds; a template is measured and started in some, and a machine may be busy."""


@dataclass
class Installed:
    """The smart-grid server with a file of its own in its directory, which is part of what is measured."""

    layout: Layout
    app: Path
    others: tuple[Entry, ...]
    """What is measured besides that file; the same wherever it is installed."""

    def release(self, name: str) -> None:
        self.app.with_name(_RELEASE).write_text(name)

    def measured(self, name: str) -> str:
        """With that release."""
        digest = hashlib.sha256(name.encode()).hexdigest()
        release = Entry(Kind.FILE, f"app/{_RELEASE}", digest)
        return measure(Manifest((*self.others, release)))

    def decided(self) -> set[str]:
        """Measurements in the log of verdicts."""
        lines = (self.layout.audit_of("w1") / LOG_FILE).read_text().splitlines()
        bodies = [json.loads(line)["entry"]["body"] for line in lines]
        return {each["claims"]["mrenclave"] for each in bodies if each.get("claims")}

    @contextlib.asynccontextmanager
    async def upgrading(self) -> AsyncIterator[None]:
        """Files of the program come and change all the time."""

        async def write() -> None:
            for number in itertools.count():
                self.app.with_name("upgrading").write_text(str(number))
                await asyncio.sleep(0.01)

        writing = asyncio.create_task(write())
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            self.app.with_name("upgrading").unlink(missing_ok=True)


def _copied(directory: Path) -> Path:
    app = directory / "app" / "app.toml"
    app.parent.mkdir()
    shutil.copy(Path(smartgrid_server.__file__).with_name("app.toml"), app)
    return app


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> tuple[Entry, ...]:
    directory = tmp_path_factory.mktemp("measured")
    app = _copied(directory)
    environ = environs.servers(_KIND, Layout(directory / "state"))
    described = launch_of(application.load(app), app.parent, LauncherKind.FORK, environ)
    return manifest_of(described.launch, DigestCache()).entries


@pytest.fixture
def installed(
    tmp_path: Path, others: tuple[Entry, ...], monkeypatch: pytest.MonkeyPatch
) -> Installed:
    layout = Layout(tmp_path / "state")
    spare_measuring(layout)
    for name, text in environs.servers(_KIND, layout).items():
        monkeypatch.setenv(name, text)
    return Installed(layout, _copied(tmp_path), others)


def _settings(installed: Installed, *admitted: str) -> Settings:
    """Of a wrapper whose policy admits these measurements."""
    layout, authorities = installed.layout, Authorities(installed.layout)
    authorities.make()
    trusted.make_platform(layout, authorities.seal)
    named = ", ".join(f'"{each}"' for each in admitted)
    layout.policy.write_text(program("a" * 64).policy(1).replace(f'"{"a" * 64}"', named))
    authorities.renew_issuer("w1", trust.load(layout.policy))
    layout.make_wrapper("w1")
    environ = environs.attestation(_KIND, layout, authorities, "w1") | {
        f"{PREFIX}_ID": "w1",
        f"{PREFIX}_APP": str(installed.app),
        f"{PREFIX}_STATE_DIR": str(layout.wrapper("w1")),
        f"{PREFIX}_VOLUMES_DIR": str(layout.volumes),
        f"{PREFIX}_LAUNCHER": LauncherKind.FORK,
        f"{PREFIX}_POOL_SIZE": str(_POOL),
    }
    return settings.load(Settings, PREFIX, environ)


async def _recycled(wrapper: WrapperProcess) -> None:
    """Every server is killed; return once others are READY in their places."""
    before = {each.boot_id for each in await wrapper.ready(_POOL)}
    templates = {each["pid"] for each in wrapper.log("template_ready")}
    for pid in _children(wrapper.child.pid) - templates:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    async def others() -> bool:
        return not before & {each.boot_id for each in await wrapper.ready(_POOL)}

    await eventually(others, "other servers are READY", deadline=_LONG)


def _children(pid: int) -> set[int]:
    return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


async def _degraded(wrapper: WrapperProcess) -> str:
    return (await wrapper.state()).degraded or ""


async def test_the_pool_is_full_while_files_change_and_the_new_program_comes_afterwards(
    installed: Installed,
) -> None:
    installed.release("one")
    one, two = installed.measured("one"), installed.measured("two")
    async with started(_settings(installed, one, two)) as wrapper:
        await wrapper.ready(_POOL)
        async with installed.upgrading():
            for _ in range(3):
                await _recycled(wrapper)

            async def told() -> bool:
                return "servers are started from the program as it was" in await _degraded(wrapper)

            await eventually(told, "status says what happens", deadline=_LONG)
            await _recycled(wrapper)
            installed.release("two")
        assert installed.decided() == {one}
        assert wrapper.log("server_not_attested") == []
        await eventually(
            lambda: wrapper.log("template_replaced"), "the new template is ready", deadline=_LONG
        )
        (replaced,) = wrapper.log("template_replaced")
        assert replaced["now"] == two[:_SHORT]
        await _recycled(wrapper)
        assert installed.decided() == {one, two}
        assert await _degraded(wrapper) == ""
        assert wrapper.log("server_not_attested") == []


async def test_a_program_that_the_policy_does_not_admit_costs_no_server(
    installed: Installed,
) -> None:
    installed.release("one")
    one = installed.measured("one")
    async with started(_settings(installed, one)) as wrapper:
        await wrapper.ready(_POOL)
        installed.release("unknown")
        await _recycled(wrapper)

        async def refused() -> bool:
            return "the policy does not admit it" in await _degraded(wrapper)

        await eventually(refused, "status says that it is not admitted", deadline=_LONG)
        await _recycled(wrapper)
        await _recycled(wrapper)
        assert len(wrapper.log("program_not_admitted")) == 1, "said once"
        assert len(wrapper.log("template_ready")) == 1
        installed.release("one")
        await _recycled(wrapper)

        async def well() -> bool:
            return not await _degraded(wrapper)

        await eventually(well, "the old files are back", deadline=_LONG)
        assert installed.decided() == {one}
        assert wrapper.log("server_not_attested") == []


async def test_a_wrapper_that_starts_meanwhile_waits_until_files_are_quiet(
    installed: Installed,
) -> None:
    installed.release("one")
    chosen = _settings(installed, installed.measured("one"))
    async with contextlib.AsyncExitStack() as stack:
        upgrade = await stack.enter_async_context(_ended_by_hand(installed))
        starting = asyncio.create_task(stack.enter_async_context(started(chosen)))
        log_file = chosen.state_dir.parent / f"{chosen.state_dir.name}.log"
        await eventually(
            lambda: log_file.exists() and "program_changing" in log_file.read_text(),
            "it has seen that files change",
            deadline=_LONG,
        )
        await upgrade.aclose()
        wrapper = await starting
        await wrapper.ready(_POOL)


@contextlib.asynccontextmanager
async def _ended_by_hand(installed: Installed) -> AsyncIterator[contextlib.AsyncExitStack]:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(installed.upgrading())
        yield stack
