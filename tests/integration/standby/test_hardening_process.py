"""What hardening does to a process as a whole: exec, crashes, files that gain rights, narrowing later, old kernels."""

import errno
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from standby.hardening import (
    HardeningError,
    Layer,
    Outcome,
    Places,
    Plan,
    harden,
    kernel,
    narrow,
    rehearse,
)
from tests.integration.standby import NOBODY, become, directory_of, in_child


def run_echo(layers: list[str]) -> str:
    """In the child: be another program."""
    report = harden(Plan(layers=frozenset(map(Layer, layers))))
    if report.missing:
        return f"this kernel lacks {report.missing[0].layer}: {report.missing[0].text}"
    try:
        os.execv("/bin/echo", ["echo", '"executed"'])  # noqa: S606  # it is the point
    except OSError as error:
        return errno.errorcode[error.errno or 0]


@pytest.mark.parametrize(
    ("layers", "answer"),
    [
        ([], "executed"),
        ([Layer.NO_NEW_PRIVS, Layer.SECCOMP], "EPERM"),
        ([Layer.NO_NEW_PRIVS, Layer.LANDLOCK], "EACCES"),
    ],
)
def test_the_process_becomes_no_other_program(layers: list[Layer], answer: str) -> None:
    told = in_child(run_echo, layers=layers)
    if "lacks" in told:
        pytest.skip(told)
    assert told == answer


def crash(layers: list[str], home: str) -> bool:
    """In the child: whether the kernel wrote a core file of a process that aborts."""
    resource.setrlimit(resource.RLIMIT_CORE, (1 << 28, 1 << 28))
    os.chdir(home)
    pid = os.fork()
    if pid == 0:
        harden(Plan(layers=frozenset(map(Layer, layers))))
        os.kill(os.getpid(), signal.SIGABRT)
    return os.WCOREDUMP(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can raise the limit of core files")
@pytest.mark.parametrize("layer", [Layer.RLIMITS, Layer.NOT_DUMPABLE])
def test_a_crash_leaves_no_core_file(layer: Layer) -> None:
    with directory_of(None) as home:
        if not in_child(crash, layers=[], home=str(home)):
            pytest.skip("this machine makes no core files anyway")
        assert in_child(crash, layers=[layer], home=str(home)) is False


def start_as_root(layers: list[str], program: str) -> str:
    """In the child: the effective uid of a program whose file says that it runs as root."""
    become(NOBODY)
    harden(Plan(layers=frozenset(map(Layer, layers))))
    return subprocess.run([program, "-u"], capture_output=True, text=True, check=True).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a program that runs as root")
def test_a_program_gives_no_more_rights() -> None:
    with directory_of(None) as home:
        if os.statvfs(home).f_flag & os.ST_NOSUID:
            pytest.skip(f"{home} ignores that a program shall run as root")
        home.chmod(0o755)
        program = home / "id"
        program.write_bytes(Path("/usr/bin/id").read_bytes())
        program.chmod(0o4755)
        assert in_child(start_as_root, layers=[], program=str(program)) == "0\n"
        layers = [Layer.NO_NEW_PRIVS]
        assert in_child(start_as_root, layers=layers, program=str(program)) == f"{NOBODY}\n"


def narrow_down(home: str) -> dict[str, str]:
    """In the child: two users' directories may be opened, then one."""
    mine, other = Path(home, "mine"), Path(home, "other")
    for place in (mine, other):
        place.mkdir()
        (place / "file").write_text("here")
    report = harden(Plan(places=Places(read_write=(Path(home),))))
    if missing := [each for each in report.missing if each.layer is Layer.LANDLOCK]:
        return {"lacks": missing[0].text}
    before = _read(other)
    narrow(Places(read_write=(mine,)), required=True)
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(_read(other)))
    thread.start()
    thread.join()
    after, own = _read(other), _read(mine)
    narrow(Places(read_write=(Path(home),)))
    again = _read(other)
    return {"before": before, "after": after, "own": own, "in a thread": found[0], "again": again}


def _read(place: Path) -> str:
    try:
        return (place / "file").read_text()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def test_places_can_be_narrowed_later_and_never_widened() -> None:
    with directory_of(None) as home:
        told = in_child(narrow_down, home=str(home))
    if "lacks" in told:
        pytest.skip(f"this kernel lacks landlock: {told['lacks']}")
    assert told == {
        "before": "here",
        "after": "EACCES",
        "own": "here",
        "in a thread": "EACCES",
        "again": "EACCES",
    }


def harden_old(required: bool) -> list[Any]:
    """In the child: a kernel that knows none of the newer calls."""

    def unknown(number: int) -> Callable[..., int]:
        def refuse(*_: int) -> int:
            raise OSError(number, os.strerror(number))

        return refuse

    kernel.syscall, kernel.prctl = unknown(errno.ENOSYS), unknown(errno.EINVAL)
    layers = frozenset({Layer.RLIMITS, Layer.MDWE, Layer.LANDLOCK, Layer.SECCOMP})
    try:
        report = harden(Plan(layers=layers, required=required))
    except HardeningError as error:
        return [error.code, str(error)]
    return [[each.layer, each.outcome] for each in report.layers]


def test_what_a_kernel_lacks_is_reported_and_the_rest_applied() -> None:
    assert in_child(harden_old, required=False) == [
        [Layer.RLIMITS, Outcome.APPLIED],
        [Layer.MDWE, Outcome.UNSUPPORTED],
        [Layer.LANDLOCK, Outcome.UNSUPPORTED],
        [Layer.SECCOMP, Outcome.UNSUPPORTED],
    ]


def test_what_a_kernel_lacks_is_an_error_where_it_is_required() -> None:
    code, text = in_child(harden_old, required=True)
    assert code == "hardening_failed"
    for part in ("mdwe", "landlock", "seccomp", "needs Linux 6.3", "needs Linux 5.13"):
        assert part in text


def harden_with_threads() -> list[str]:
    """In the child: a thread runs already."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        return _refused()
    finally:
        over.set()
        thread.join()


def test_a_process_that_has_threads_already_is_refused() -> None:
    assert in_child(harden_with_threads) == [
        "hardening_failed",
        "2 threads run; harden the process before it starts any",
    ]


def _has_a_ring() -> bool:
    descriptors = (each for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return any("io_uring" in str(each.readlink()) for each in descriptors)


def harden_under_a_loop() -> list[str]:
    """In the child: uvloop's event loop is there, with the ring that libuv makes."""

    async def try_it() -> list[str]:
        if not _has_a_ring():
            return ["lacks", "uvloop uses no io_uring here"]
        return _refused()

    return uvloop.run(try_it())


def harden_twice() -> list[str]:
    harden(Plan())
    return _refused()


def _refused() -> list[str]:
    try:
        harden(Plan())
    except HardeningError as error:
        return [error.code, str(error)]
    return ["applied"]


def test_a_process_whose_event_loop_runs_already_is_refused() -> None:
    code, text = in_child(harden_under_a_loop)
    if code == "lacks":
        pytest.skip(text)
    assert (code, text) == (
        "hardening_failed",
        "an event loop is there already; harden the process before it has one",
    )


def test_a_process_is_hardened_once() -> None:
    code, *text = in_child(harden_twice)
    if code == "applied":
        pytest.skip("this kernel lacks landlock, by which it is known")
    assert [code, *text] == ["hardening_failed", "the process has been hardened already"]


def rehearse_only(home: str) -> list[str]:
    """In the child: what a template does, and what it can still do."""
    report = rehearse(Plan(places=Places(read_write=(Path(home),))))
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    Path("/etc/passwd").read_bytes()
    status = Path("/proc/self/status").read_text()
    unchanged = "NoNewPrivs:\t0" in status and "Seccomp_filters:\t0" in status
    return ["unchanged" if unchanged else status, *(each.layer for each in report.layers)]


def test_a_rehearsal_changes_nothing() -> None:
    status = Path("/proc/self/status").read_text()
    if "NoNewPrivs:\t0" not in status or "Seccomp_filters:\t0" not in status:
        pytest.skip("whoever runs the tests is confined already")
    with directory_of(None) as home:
        assert in_child(rehearse_only, home=str(home)) == ["unchanged", *Layer]
