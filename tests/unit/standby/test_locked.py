"""A key's buffer: what it shows, what is left of it, and that no view of it outlives it. See also the test of peers."""

import ctypes
import errno
import os
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2

from standby import locked
from standby.hardening import kernel
from standby.locked import Kind, LockedKey
from standby.logs import scrub

_KEY = bytes(range(1, 33))


@pytest.fixture(params=list(Kind))
def key(request: pytest.FixtureRequest) -> LockedKey:
    try:
        return LockedKey(kinds=(request.param,))
    except OSError as error:
        pytest.skip(f"no {request.param} here: {error.strerror}")


def _flags(key: LockedKey) -> set[str]:
    """The kernel's flags of the page in which the key is."""
    address = ctypes.addressof(ctypes.c_char.from_buffer(key.reveal()))
    blocks = Path("/proc/self/smaps").read_text().split(f"{address:x}-")
    return set(blocks[1].split("VmFlags:")[1].splitlines()[0].split())


def test_it_holds_what_is_put_in_and_starts_with_zeros(key: LockedKey) -> None:
    with key:
        assert key.reveal() == bytes(32)
        key.reveal()[:] = _KEY
        assert key.reveal() == _KEY


def test_it_shows_its_value_in_no_form_of_printing(key: LockedKey) -> None:
    with key:
        key.reveal()[:] = b"k" * 32
        shown = f"{key} {key!r} {key!s} {key:>20} {scrub('value', key)}"
    assert "k" * 8 not in shown
    assert shown.count("<secret>") == 5


def test_after_closing_there_is_no_view_of_it_and_closing_again_does_nothing(
    key: LockedKey,
) -> None:
    key.close()
    key.close()
    with pytest.raises(ValueError, match="released"):
        bytes(key.reveal())


def test_a_view_that_is_still_held_finds_zeros_and_is_an_error(key: LockedKey) -> None:
    key.reveal()[:] = _KEY
    held = key.reveal()[:4]
    with pytest.raises(BufferError):
        key.close()
    assert held == bytes(4)
    held.release()
    key.close()


def test_it_is_wiped_when_its_context_ends_with_an_error(key: LockedKey) -> None:
    held = key.reveal()[:1]

    def fail() -> None:
        with key:
            held[0] = 1
            raise KeyError

    with pytest.raises(BufferError):
        fail()
    assert held[0] == 0
    held.release()
    key.close()


def test_no_descriptor_of_it_stays_open(key: LockedKey) -> None:
    links = [os.readlink(each) for each in Path("/proc/self/fd").iterdir() if each.exists()]  # noqa: PTH115
    assert not [link for link in links if "secretmem" in link]
    key.close()


def test_its_page_is_locked_and_not_dumped(key: LockedKey) -> None:
    with key:
        assert {"lo", "dd"} <= _flags(key)
        assert ("wf" in _flags(key)) == (key.kind is Kind.MLOCK)
        address = ctypes.addressof(ctypes.c_char.from_buffer(key.reveal()))
    assert f"{address:x}-" not in Path("/proc/self/maps").read_text()


def test_the_first_kind_that_can_be_had_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: int) -> int:
        raise OSError(errno.ENOSYS, "no such call")

    monkeypatch.setattr(kernel, "syscall", unknown)
    with LockedKey() as key:
        assert key.kind is Kind.MLOCK
    with pytest.raises(OSError, match="no locked memory: no such call; see RLIMIT_MEMLOCK"):
        LockedKey(kinds=(Kind.MEMFD_SECRET,))


@pytest.mark.parametrize("size", [0, -1, 1 << 20])
def test_it_is_a_buffer_for_a_key_and_not_for_anything(size: int) -> None:
    with pytest.raises(ValueError, match="a key has 1 to"):
        LockedKey(size)


def test_the_order_of_kinds_is_from_better_to_worse() -> None:
    assert list(locked.Kind) == [Kind.MEMFD_SECRET, Kind.MLOCK]


def test_sqlcipher_takes_a_key_from_it_and_needs_it_no_more(key: LockedKey, tmp_path: Path) -> None:
    text = b"x'" + b"ab" * 32 + b"'"
    key.close()
    with LockedKey(len(text), kinds=(key.kind,)) as written:
        written.reveal()[:] = text
        connection = dbapi2.connect(str(tmp_path / "some.db"))
        connection.set_key(written.reveal())
    connection.execute("CREATE TABLE readings (power REAL)")
    connection.close()
    assert not (tmp_path / "some.db").read_bytes().startswith(b"SQLite format 3")
