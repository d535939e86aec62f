"""What is known of a database outlives its server, is wrong for no time at all, and is about one user only."""

import contextlib
import fcntl
import os
import resource
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from attestation.issuing.freshness import (
    FreshnessError,
    FreshnessStore,
    FreshnessUnreadableError,
    FreshnessUnwritableError,
    StaleGenerationError,
)
from attestation.issuing.messages import Record
from attestation.sealing import Sealed
from standby.ids import Generation, Uid
from standby.seal import PLAIN

ALICE, BOB = Uid("alice"), Uid("bob")
SEAL = Sealed(bytes(range(32)))
TAG, OTHER = b"\xa1" * 32, b"\xb2" * 32


def _store(directory: Path) -> FreshnessStore:
    return FreshnessStore(directory / "freshness", SEAL)


def _file(directory: Path, uid: str) -> Path:
    return directory / "freshness" / f"{uid}.freshness"


def _g(number: int) -> Generation:
    return Generation(number)


def test_nothing_is_known_of_a_database_that_was_never_opened(tmp_path: Path) -> None:
    assert _store(tmp_path).last_seen(ALICE) is None
    assert [*tmp_path.iterdir()] == []


def test_a_new_database_of_the_same_user_has_no_past(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.forget(ALICE)
    store.left(ALICE, _g(4), TAG)
    store.left(BOB, _g(2), OTHER)
    store.forget(ALICE)
    assert store.last_seen(ALICE) is None
    assert store.last_seen(BOB) == Record(_g(2), OTHER)


def test_what_was_left_is_known_to_every_wrapper_afterwards(tmp_path: Path) -> None:
    first, second = _store(tmp_path), _store(tmp_path)
    assert second.last_seen(ALICE) is None
    first.opened(ALICE, _g(4))
    assert second.last_seen(ALICE) == Record(_g(4), None)
    first.left(ALICE, _g(4), TAG)
    assert second.last_seen(ALICE) == Record(_g(4), TAG)
    second.opened(ALICE, _g(5))
    assert first.last_seen(ALICE) == Record(_g(5), None)
    assert first.last_seen(BOB) is None


def test_an_open_database_keeps_nothing_of_its_old_tag(tmp_path: Path) -> None:
    store = FreshnessStore(tmp_path / "freshness", PLAIN)
    store.left(ALICE, _g(4), TAG)
    assert TAG in _file(tmp_path, "alice").read_bytes()
    store.opened(ALICE, _g(4))
    assert not any(TAG in each.read_bytes() for each in (tmp_path / "freshness").iterdir())


def test_an_older_claim_cannot_say_what_the_database_is(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.opened(ALICE, _g(6))
    with pytest.raises(StaleGenerationError, match="generation 6, not 5") as refused:
        store.left(ALICE, _g(5), OTHER)
    assert refused.value.code == "stale_generation"
    assert store.last_seen(ALICE) == Record(_g(6), None)
    store.left(ALICE, _g(6), TAG)
    with pytest.raises(StaleGenerationError):
        store.left(ALICE, _g(5), OTHER)
    assert store.last_seen(ALICE) == Record(_g(6), TAG)


def test_a_user_may_go_back_to_an_older_copy_with_its_generations(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.left(ALICE, _g(9), TAG)
    store.opened(ALICE, _g(3))
    assert store.last_seen(ALICE) == Record(_g(3), None)
    store.left(ALICE, _g(3), OTHER)
    assert store.last_seen(ALICE) == Record(_g(3), OTHER)


def test_files_cannot_be_exchanged(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.left(ALICE, _g(1), TAG)
    store.left(BOB, _g(1), OTHER)
    _file(tmp_path, "bob").replace(_file(tmp_path, "alice"))
    with pytest.raises(FreshnessUnreadableError, match="about bob") as refused:
        store.last_seen(ALICE)
    assert refused.value.code == "freshness_unreadable"
    with pytest.raises(FreshnessUnreadableError):
        store.left(ALICE, _g(2), TAG)


def test_a_file_that_somebody_changed_is_refused_at_each_byte(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.left(ALICE, _g(1), TAG)
    file = _file(tmp_path, "alice")
    content = file.read_bytes()
    for at in range(len(content)):
        changed = bytearray(content)
        changed[at] ^= 1
        file.write_bytes(changed)
        with pytest.raises(FreshnessUnreadableError):
            store.last_seen(ALICE)
    for cut in (b"", content[:-1], content[:20], content + b"\0"):
        file.write_bytes(cut)
        with pytest.raises(FreshnessUnreadableError):
            store.last_seen(ALICE)


def test_something_else_under_the_same_seal_is_no_record(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.opened(ALICE, _g(1))
    _file(tmp_path, "alice").write_bytes(SEAL.close(b"a private key"))
    with pytest.raises(FreshnessUnreadableError, match="restore that file, or delete it"):
        store.last_seen(ALICE)


def test_another_seal_reads_nothing(tmp_path: Path) -> None:
    _store(tmp_path).left(ALICE, _g(1), TAG)
    other = FreshnessStore(tmp_path / "freshness", Sealed(bytes(32)))
    with pytest.raises(FreshnessUnreadableError, match="sealed with another key"):
        other.last_seen(ALICE)
    assert TAG not in _file(tmp_path, "alice").read_bytes()


def test_after_a_record_that_cannot_be_read_a_user_who_accepts_that_goes_on(tmp_path: Path) -> None:
    store = _store(tmp_path)
    store.opened(ALICE, _g(1))
    _file(tmp_path, "alice").write_bytes(b"damaged")
    store.opened(ALICE, _g(2))
    assert store.last_seen(ALICE) == Record(_g(2), None)


def test_a_full_disk_changes_nothing_and_says_so(tmp_path: Path) -> None:
    """A limit of the process stands for the disk."""
    store = _store(tmp_path)
    store.left(ALICE, _g(1), TAG)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(FreshnessUnwritableError, match="cannot be kept") as refused:
            store.opened(ALICE, _g(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert refused.value.retry
    assert store.last_seen(ALICE) == Record(_g(1), TAG)
    store.opened(ALICE, _g(2))
    assert store.last_seen(ALICE) == Record(_g(2), None)


def test_a_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "freshness").write_text("a file")
    with pytest.raises(FreshnessError):
        _store(tmp_path).opened(ALICE, _g(1))
    with pytest.raises(FreshnessUnreadableError):
        _store(tmp_path).last_seen(ALICE)


def test_only_the_platforms_account_can_read_it(tmp_path: Path) -> None:
    _store(tmp_path).left(ALICE, _g(1), TAG)
    assert stat.S_IMODE((tmp_path / "freshness").stat().st_mode) == 0o700
    for file in (tmp_path / "freshness").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    """So a comparison with what is known is still true when the record is written."""
    store = _store(tmp_path)
    store.opened(ALICE, _g(1))
    lock = os.open(tmp_path / "freshness" / ".lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    refusals: list[FreshnessError] = []

    def late() -> None:
        try:
            store.left(ALICE, _g(1), OTHER)
        except FreshnessError as error:
            refusals.append(error)

    thread = threading.Thread(target=late)
    thread.start()
    try:
        assert store.last_seen(ALICE) == Record(_g(1), None)  # readers do not wait
        successor = FreshnessStore(tmp_path / "elsewhere", SEAL)
        successor.opened(ALICE, _g(2))
        (tmp_path / "elsewhere" / "alice.freshness").replace(_file(tmp_path, "alice"))
    finally:
        os.close(lock)
        thread.join(30)
    assert not thread.is_alive()
    assert [each.code for each in refusals] == ["stale_generation"]
    assert store.last_seen(ALICE) == Record(_g(2), None)


def test_many_threads_leave_the_newest_record(tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=30)

    def leave(number: int) -> None:
        together.wait()
        with contextlib.suppress(StaleGenerationError):
            _store(tmp_path).left(ALICE, _g(number), bytes([number]) * 32)

    threads = [threading.Thread(target=leave, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert _store(tmp_path).last_seen(ALICE) == Record(_g(8), b"\x08" * 32)


class _Users(RuleBasedStateMachine):
    """Two users and two wrappers against a model: the last that was said and not refused."""

    users = st.sampled_from([ALICE, BOB])
    generations = st.integers(1, 5).map(Generation)
    wrappers = st.integers(0, 1)
    directory: Path

    def __init__(self) -> None:
        super().__init__()
        self.stores = [FreshnessStore(self.directory, SEAL) for _ in range(2)]
        self.known: dict[Uid, Record] = {}
        for file in self.directory.glob("*"):
            file.unlink()

    @rule(uid=users, generation=generations, wrapper=wrappers)
    def opened(self, uid: Uid, generation: Generation, wrapper: int) -> None:
        self.stores[wrapper].opened(uid, generation)
        self.known[uid] = Record(generation, None)

    @rule(
        uid=users,
        generation=generations,
        wrapper=wrappers,
        tag=st.binary(min_size=32, max_size=32),
    )
    def left(self, uid: Uid, generation: Generation, wrapper: int, tag: bytes) -> None:
        before = self.known.get(uid)
        if before is not None and generation < before.generation:
            with pytest.raises(StaleGenerationError):
                self.stores[wrapper].left(uid, generation, tag)
        else:
            self.stores[wrapper].left(uid, generation, tag)
            self.known[uid] = Record(generation, tag)

    @invariant()
    def all_know_the_last(self) -> None:
        for store in self.stores:
            for uid in (ALICE, BOB):
                assert store.last_seen(uid) == self.known.get(uid)


def test_two_wrappers_know_what_was_said_last(tmp_path: Path) -> None:
    machine = type("_Here", (_Users,), {"directory": tmp_path / "shared"})
    run_state_machine_as_test(machine, settings=settings(max_examples=20, stateful_step_count=15))
