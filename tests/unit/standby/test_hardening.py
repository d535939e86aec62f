"""What a plan comes to, without applying anything: rights by version, rulesets, places of libraries, reports."""

import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import standby
from standby.hardening import LayerReport, Outcome, Places, Report, access, kernel, landlock
from standby.hardening.access import File, Net, Scope
from standby.hardening.errors import UnsupportedError
from standby.hardening.libraries import library_places
from standby.hardening.plan import Layer


class FakeKernel:
    """Knows some version of Landlock, and notes what it is asked to do."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.sizes: list[int] = []
        self.rules: list[int] = []
        """What each rule is about: 1 a path, 2 a port."""

    def syscall(self, number: int, *arguments: int) -> int:
        match number, arguments:
            case 444, (0, 0, 1):
                return self.version
            case 444, (_, size):
                self.sizes.append(size)
                return _any_descriptor()
            case 445, (_, kind, _):
                self.rules.append(kind)
            case _:
                pass
        return 0


def _any_descriptor() -> int:
    return os.open("/dev/null", os.O_RDONLY)


def _failing(number: int) -> Callable[..., int]:
    def fails(*_: int) -> int:
        raise OSError(number, "no")

    return fails


def test_the_newest_version_forbids_everything_and_lacks_nothing() -> None:
    newest = access.handled(7)
    assert newest.files == File((1 << 16) - 1)
    assert newest.net == Net.BIND_TCP | Net.CONNECT_TCP
    assert newest.scopes == Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL
    assert newest.lacks == ()


@pytest.mark.parametrize(
    ("version", "first_missing", "lacks"),
    [(1, File.REFER, 4), (2, File.TRUNCATE, 4), (3, File.IOCTL_DEV, 3), (4, File.IOCTL_DEV, 2)],
)
def test_an_older_version_is_asked_only_for_what_it_knows_and_the_rest_is_named(
    version: int, first_missing: File, lacks: int
) -> None:
    handled = access.handled(version)
    assert handled.files == File(handled.files & (first_missing - 1))
    assert len(handled.lacks) == lacks
    assert bool(handled.net) == ("TCP ports" not in handled.lacks)


@pytest.mark.parametrize(("version", "size"), [(1, 8), (3, 8), (4, 16), (5, 16), (6, 24), (9, 24)])
def test_a_ruleset_is_described_in_as_many_bytes_as_the_version_reads(
    version: int, size: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = FakeKernel(version)
    monkeypatch.setattr(kernel, "syscall", fake.syscall)
    landlock.restrict(Places(read_write=(tmp_path,)), (7443,))
    assert fake.sizes == [size]
    assert fake.rules == ([1] if version < 4 else [1, 2])


def test_a_path_that_is_not_there_is_left_out_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = FakeKernel(7)
    monkeypatch.setattr(kernel, "syscall", fake.syscall)
    places = Places(read_only=(tmp_path / "none", tmp_path))
    assert f"not there: {tmp_path}/none" in landlock.restrict(places, ()).text
    assert fake.rules == [1]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_kernel_without_landlock_or_started_without_it_is_told_apart_from_a_refusal(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "syscall", _failing(number))
    with pytest.raises(UnsupportedError, match=r"needs Linux 5\.13"):
        landlock.version()


def test_libraries_are_the_interpreters_the_systems_and_the_loaded_packages() -> None:
    places = library_places()
    assert Path(standby.__file__).parent in places
    for file in (json.__file__, msgspec.__file__, "/dev/urandom"):
        assert any(Path(file).is_relative_to(each) for each in places), file


def test_a_directory_with_packages_is_not_opened_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), ""])
    places = library_places()
    root = Path(standby.__file__).parent.parent
    assert not {tmp_path, root, Path(), Path.cwd(), Path("/"), Path.home()} & set(places)


def test_no_place_of_libraries_lies_in_another() -> None:
    places = library_places()
    assert [a for a in places for b in places if a != b and a.is_relative_to(b)] == []


def test_a_report_names_the_layers_that_do_not_protect() -> None:
    outcomes = zip(Layer, (Outcome.APPLIED, Outcome.APPLIED, *Outcome), strict=True)
    report = Report(tuple(LayerReport(layer=layer, outcome=outcome) for layer, outcome in outcomes))
    assert [each.outcome for each in report.missing] == [Outcome.UNSUPPORTED, Outcome.FAILED]
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
