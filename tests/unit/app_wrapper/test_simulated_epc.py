"""The EPC of simulated enclaves: who pays when they do not all fit."""

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
)

from app_wrapper.launchers.simulated.epc import Epc, Paged
from standby.ids import BootId

A, B, C = BootId("a"), BootId("b"), BootId("c")


def test_what_fits_costs_nothing() -> None:
    epc = Epc(10)
    assert epc.allocate(A, 6) == Paged(out=0)
    assert epc.allocate(B, 4) == Paged(out=0)
    assert epc.touch(A, 6) == Paged(out=0)
    assert epc.touch(B, 4) == Paged(out=0)


def test_the_least_recently_used_enclave_gives_way() -> None:
    epc = Epc(10)
    epc.allocate(A, 4)
    epc.allocate(B, 4)
    epc.touch(A, 4)
    assert epc.allocate(C, 5) == Paged(out=3)
    assert epc.touch(A, 4) == Paged(out=0), "it was used after the other one"
    assert epc.touch(B, 4) == Paged(out=3, into=3)


def test_the_pages_of_a_login_are_the_last_to_go() -> None:
    epc = Epc(10)
    epc.allocate(A, 8)
    assert epc.allocate(B, 6) == Paged(out=4)
    assert epc.touch(A, 4) == Paged(out=0)
    assert epc.touch(A, 5) == Paged(out=1, into=1)


def test_several_enclaves_make_place_for_one() -> None:
    epc = Epc(10)
    epc.allocate(A, 5)
    epc.allocate(B, 5)
    assert epc.allocate(C, 7) == Paged(out=7)
    assert epc.touch(B, 5) == Paged(out=2, into=2)


def test_an_enclave_that_is_too_large_pages_out_all_others_and_pays_for_nothing_of_its_own() -> (
    None
):
    epc = Epc(10)
    epc.allocate(A, 3)
    assert epc.allocate(B, 25) == Paged(out=3)
    assert epc.resident == 10
    assert epc.touch(B, 25) == Paged(out=0)


def test_an_enclave_that_has_ended_uses_nothing() -> None:
    epc = Epc(10)
    epc.allocate(A, 10)
    epc.free(A)
    epc.free(A)
    assert epc.touch(A, 10) == Paged(out=0)
    assert epc.allocate(B, 10) == Paged(out=0)


CAPACITY = 20


class EpcMachine(RuleBasedStateMachine):
    """Against a model that knows only how large each enclave is."""

    living = Bundle("living")

    def __init__(self) -> None:
        super().__init__()
        self.epc = Epc(CAPACITY)
        self.sizes: dict[BootId, int] = {}
        self.born = 0

    def _check(self, paged: Paged, resident: int) -> None:
        assert paged.out >= 0
        assert self.epc.resident == resident + paged.into - paged.out
        assert paged.out <= resident
        if sum(self.sizes.values()) <= CAPACITY:
            assert paged.out == 0, "everything fits"

    @rule(target=living, pages=st.integers(1, 30))
    def an_enclave_starts(self, pages: int) -> BootId:
        self.born += 1
        boot_id = BootId(str(self.born))
        self.sizes[boot_id] = pages
        before = self.epc.resident
        paged = self.epc.allocate(boot_id, pages)
        assert paged.into == 0, "that is part of the start"
        self._check(Paged(out=paged.out, into=min(pages, CAPACITY)), before)
        return boot_id

    @rule(boot_id=living, pages=st.integers(1, 30))
    def an_enclave_is_used(self, boot_id: BootId, pages: int) -> None:
        before = self.epc.resident
        paged = self.epc.touch(boot_id, pages)
        self._check(paged, before)
        assert paged.out <= paged.into <= min(pages, self.sizes[boot_id], CAPACITY)
        assert self.epc.touch(boot_id, pages) == Paged(out=0), "it has just been used"

    @rule(boot_id=consumes(living))
    def an_enclave_ends(self, boot_id: BootId) -> None:
        before = self.epc.resident
        self.epc.free(boot_id)
        del self.sizes[boot_id]
        assert self.epc.resident <= before

    @invariant()
    def no_more_is_resident_than_fits_or_exists(self) -> None:
        assert self.epc.resident <= min(CAPACITY, sum(self.sizes.values()))
        assert self.epc.enclaves == len(self.sizes)

    def teardown(self) -> None:
        for boot_id in self.sizes:
            self.epc.free(boot_id)
        assert (self.epc.resident, self.epc.enclaves) == (0, 0)


TestEpc = EpcMachine.TestCase
