"""One byte of what a server is started from is changed, and no server starts. Commands only, as an operator gives them.

The policy is what `standby measure` printed before the change. Everything else is as it was, and with attestation off
the changed program serves users, so nothing but its measurement is in its way.
"""

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from app_wrapper.settings import LauncherKind
from attestation import policy
from attestation.audit import LOG_FILE
from attestation.trust_files import POLICY_FILE
from attestation.verdicts import Status
from tests.attacks import platforms
from tests.attacks.installation import Installation
from tests.attacks.platforms import Platform
from tests.support.waiting import eventually_sync

Environ = dict[str, str]
Done = subprocess.CompletedProcess[str]
_POOL: Final = ("--pool-size", "1")
_LENGTH: Final = "SMARTGRID_SESSION_LENGTH"


@dataclass(frozen=True)
class Operator:
    """Somebody with a shell on the machine, and a policy for what one launcher starts."""

    installation: Installation
    launcher: LauncherKind
    policy: Path

    def standby(self, *arguments: str | Path, **more: str) -> Done:
        environ = platforms.COMMON | {"APP_WRAPPER_LAUNCHER": self.launcher}
        return self.installation.run("standby_cli", *arguments, environ=environ | more)

    @contextlib.contextmanager
    def platform(self, state: Path, *options: str | Path, **environ: str) -> Iterator[Any]:
        """What `standby status` says of the only server of a platform that is up."""
        place = ("--state-dir", state)
        up = self.standby("up", "--detach", *_POOL, *place, *options, **environ)
        assert up.returncode == 0, up.stderr
        try:
            status = self.standby("status", "--json", *place)
            (server,) = json.loads(status.stdout)["instances"]
            yield server
        finally:
            self.standby("down", "--now", *place)


@pytest.fixture(scope="module")
def spawning(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Operator:
    policy = tmp_path_factory.mktemp("spawning") / "policy.toml"
    operator = Operator(installation, LauncherKind.SPAWN, policy)
    measured = operator.standby("measure")
    assert measured.returncode == 0, measured.stderr
    policy.write_text(measured.stdout)
    return operator


@pytest.fixture(scope="module")
def forking(installation: Installation, fork_policy: Path) -> Operator:
    return Operator(installation, LauncherKind.FORK, fork_policy)


# --- what is changed


@contextlib.contextmanager
def _byte_of_the_server(installation: Installation) -> Iterator[Environ]:
    with _changed(installation.packages / "smartgrid_server" / "session.py", _one_letter):
        yield {}


@contextlib.contextmanager
def _byte_of_a_library(installation: Installation) -> Iterator[Environ]:
    with _changed(installation.packages / "aiohttp" / "hdrs.py", _one_letter):
        yield {}


@contextlib.contextmanager
def _argument(installation: Installation) -> Iterator[Environ]:
    with _changed(installation.packages / "smartgrid_server" / "app.toml", _one_more_option):
        yield {}


@contextlib.contextmanager
def _variable(_: Installation) -> Iterator[Environ]:
    yield {_LENGTH: "1200"}


Change = Callable[[Installation], contextlib.AbstractContextManager[Environ]]
_CHANGES: Final[Mapping[str, Change]] = {
    "byte of the server": _byte_of_the_server,
    "byte of a library": _byte_of_a_library,
    "argument": _argument,
    "variable": _variable,
}


@contextlib.contextmanager
def _changed(file: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """The file is as it was afterwards, but for its times."""
    before, times = file.read_bytes(), file.stat()
    after = change(before)
    assert before != after
    file.write_bytes(after)
    try:
        yield
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def _one_letter(content: bytes) -> bytes:
    """The first of a module's docstring, so the program does what it did."""
    assert content.startswith(b'"""')
    return content[:3] + content[3:4].swapcase() + content[4:]


def _one_more_option(content: bytes) -> bytes:
    return content.replace(b'["{python}", "-m"', b'["{python}", "-X", "utf8", "-m"')


# --- what comes of it


def test_the_program_that_was_measured_is_admitted(spawning: Operator, tmp_path: Path) -> None:
    with spawning.platform(tmp_path / "state", "--policy", spawning.policy) as server:
        assert (server["state"], server["attestation"]) == ("READY", "SIMULATED, policy 1")


def test_a_template_that_was_measured_is_admitted(hardened: Platform) -> None:
    """The platform of other tests was started with its policy."""
    assert {each["attestation"] for each in hardened.status()["instances"]} == {
        "SIMULATED, policy 1"
    }


@pytest.mark.parametrize("change", _CHANGES)
def test_a_changed_program_gets_no_certificate(
    spawning: Operator, tmp_path: Path, change: str
) -> None:
    with _CHANGES[change](spawning.installation) as environ:
        _refused(spawning, tmp_path / "state", environ)


def test_servers_of_a_changed_template_get_no_certificate(
    forking: Operator, tmp_path: Path
) -> None:
    with _byte_of_the_server(forking.installation) as environ:
        _refused(forking, tmp_path / "state", environ)


def test_the_changed_program_serves_where_nothing_is_attested(
    spawning: Operator, tmp_path: Path
) -> None:
    """With all of the changes at once: nothing but its measurement was in its way."""
    with contextlib.ExitStack() as stack:
        environ: Environ = {}
        for change in _CHANGES.values():
            environ |= stack.enter_context(change(spawning.installation))
        started = spawning.platform(tmp_path / "state", "--attestation", "off", **environ)
        server = stack.enter_context(started)
        assert (server["state"], server["attestation"]) == ("READY", "off")


def test_a_changed_program_is_rolled_out_and_an_enrolled_client_goes_on_without_a_copied_file(
    spawning: Operator, tmp_path: Path
) -> None:
    """Two wrappers, restarted one after the other; each session is on the one that has not left."""
    roll = Roll(spawning, tmp_path / "state", tmp_path)
    (old,) = policy.load(spawning.policy).variants[0].mrenclave or ()
    with roll.up(), _byte_of_the_server(spawning.installation):
        roll.enroll("anna", version=1)
        assert "policy version 1" in roll.give("restart", "w1")
        roll.enroll("bert", version=2)
        roll.leave("w1")
        assert roll.session("bert", version=2) == old
        roll.give("undrain", "w1")
        roll.leave("w2")
        assert roll.session("anna", version=2) != old
        assert "policy version 3" in roll.give("policy", "withdraw")


@dataclass(frozen=True)
class Roll:
    """A platform that is upgraded while users come back, with commands only."""

    operator: Operator
    state: Path
    users: Path

    @contextlib.contextmanager
    def up(self) -> Iterator[None]:
        try:
            self.give("up", "--detach", "--wrappers", "2", *_POOL)
            yield
        finally:
            self.operator.standby("down", "--now", "--state-dir", self.state)

    def give(self, *arguments: str | Path) -> str:
        """One command; what it says."""
        done = self.operator.standby(*arguments, "--state-dir", self.state)
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stderr

    def leave(self, wrapper: str) -> None:
        """Drain the wrapper, and wait until it has no servers."""
        self.give("drain", wrapper)
        eventually_sync(lambda: wrapper not in self._serving(), f"{wrapper} has left")

    def _serving(self) -> set[str]:
        done = self.operator.standby("status", "--json", "--state-dir", self.state)
        return {each["wrapper_id"] for each in json.loads(done.stdout)["instances"]}

    def enroll(self, uid: str, *, version: int) -> None:
        self.give("enroll", uid, "--role", "meter", "--out", self.users / uid)
        assert policy.load(self.users / uid / POLICY_FILE).version == version

    def session(self, uid: str, *, version: int) -> str:
        """The measurement of the server that this user's client admitted, by this version of the policy."""
        options = ("--duration", "0.2", "--frequency", "0.1", "--json", "-")
        done = self.operator.installation.run(
            "smartgrid_client", "--profile", self.users / uid, *options, environ=platforms.COMMON
        )
        assert done.returncode == 0, done.stderr
        admitted = json.loads(done.stdout)["attestation"]
        kept = policy.load(self.users / uid / POLICY_FILE).version
        assert (admitted["policy"]["version"], kept) == (version, version)
        measurement: str = admitted["measurement"]
        return measurement


def _refused(operator: Operator, state: Path, environ: Environ) -> None:
    """Nothing was ever up, the reason is the measurement, and the log of verdicts has it for who reads it later."""
    place = ("--state-dir", state)
    up = operator.standby("up", *_POOL, *place, "--policy", operator.policy, **environ)
    assert up.returncode == 1
    assert "no server was admitted" in up.stderr
    assert "mrenclave: expected" in up.stderr
    assert not (state / "endpoints.json").exists()
    logged = _lines(state / "logs" / "w1.log")
    assert not [each for each in logged if each.get("state") == "READY"]
    why = {each["code"] for each in logged if each["event"] == "server_not_attested"}
    assert why == {"mrenclave"}
    verified = operator.standby("audit", "verify", *place)
    assert verified.returncode == 0, verified.stdout
    verdicts = [each["entry"]["body"] for each in _lines(state / "audit" / "w1" / LOG_FILE)]
    assert verdicts
    assert {each["status"] for each in verdicts} == {Status.CONTRAINDICATED}
    found = {each["claims"]["mrenclave"] for each in verdicts}
    assert len(found) == 1
    assert not [each for each in found if each in operator.policy.read_text()]


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line.startswith("{")]
