"""The contract of volume providers as tests: a provider's tests inherit `VolumeContract` and say how to make one.

`open_provider` gives a provider over the same volumes each time, as several wrappers (or lives of one) would have.
"""

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from app_wrapper.volumes import (
    ClaimedElsewhereError,
    Holder,
    StaleReleaseError,
    UnknownUserError,
    Volumes,
)
from standby.ids import BootId, Epoch, Generation, Uid, WrapperId

ANNA, BERT, NOBODY = Uid("anna"), Uid("bert"), Uid("nobody")
OpenProvider = Callable[[], Volumes]


def holder(number: int = 1, wrapper: str = "w1", epoch: int = 1) -> Holder:
    """A holder without a process of this machine."""
    return Holder(
        wrapper_id=WrapperId(wrapper), epoch=Epoch(epoch), boot_id=BootId(f"{number:016x}")
    )


class VolumeContract:
    """Users anna and bert have volumes, nobody has none."""

    @pytest.fixture
    def open_provider(self) -> OpenProvider:
        raise NotImplementedError

    def test_a_claim_gives_a_directory_and_the_first_generation(
        self, open_provider: OpenProvider
    ) -> None:
        volume = open_provider().claim(ANNA, holder())
        assert Path(volume.path).is_dir()
        assert volume.generation == 1

    def test_a_user_without_a_volume_is_refused(self, open_provider: OpenProvider) -> None:
        provider = open_provider()
        assert not provider.exists(NOBODY)
        with pytest.raises(UnknownUserError):
            provider.claim(NOBODY, holder())
        assert not provider.exists(NOBODY)

    def test_a_claim_excludes_every_other_and_names_its_holder(
        self, open_provider: OpenProvider
    ) -> None:
        first, second = open_provider(), open_provider()
        first.claim(ANNA, holder(1))
        for other in (first, second):
            with pytest.raises(ClaimedElsewhereError) as denied:
                other.claim(ANNA, holder(2))
            assert denied.value.boot_id == holder(1).boot_id
            assert holder(1).boot_id in str(denied.value)

    def test_users_do_not_exclude_each_other(self, open_provider: OpenProvider) -> None:
        provider = open_provider()
        one, two = provider.claim(ANNA, holder(1)), provider.claim(BERT, holder(2))
        assert one.path != two.path

    def test_each_claim_has_a_higher_generation_wherever_it_is_made(
        self, open_provider: OpenProvider
    ) -> None:
        for expected in (1, 2, 3):
            provider = open_provider()
            assert provider.claim(ANNA, holder(expected)).generation == expected
            provider.release(ANNA, Generation(expected))

    def test_what_was_written_is_there_at_the_next_claim(self, open_provider: OpenProvider) -> None:
        provider = open_provider()
        volume = provider.claim(ANNA, holder())
        (Path(volume.path) / "file").write_text("kept")
        provider.release(ANNA, volume.generation)
        again = open_provider().claim(ANNA, holder(2))
        assert (Path(again.path) / "file").read_text() == "kept"

    def test_a_release_of_an_older_generation_changes_nothing(
        self, open_provider: OpenProvider
    ) -> None:
        provider = open_provider()
        provider.claim(ANNA, holder(1))
        provider.release(ANNA, Generation(1))
        provider.claim(ANNA, holder(2))
        with pytest.raises(StaleReleaseError):
            provider.release(ANNA, Generation(1))
        with pytest.raises(ClaimedElsewhereError):
            open_provider().claim(ANNA, holder(3))

    def test_only_the_claims_own_provider_can_release_it(self, open_provider: OpenProvider) -> None:
        open_provider_one, open_provider_two = open_provider(), open_provider()
        open_provider_one.claim(ANNA, holder(1))
        for generation in (1, 2):
            with pytest.raises(StaleReleaseError):
                open_provider_two.release(ANNA, Generation(generation))

    def test_a_claim_ends_once(self, open_provider: OpenProvider) -> None:
        provider = open_provider()
        provider.claim(ANNA, holder())
        provider.release(ANNA, Generation(1))
        with pytest.raises(StaleReleaseError):
            provider.release(ANNA, Generation(1))

    def test_the_claim_of_a_dead_wrapper_is_taken_over(self, open_provider: OpenProvider) -> None:
        dead = open_provider()
        dead.claim(ANNA, holder(1))
        dead.close()
        assert open_provider().claim(ANNA, holder(2, wrapper="w2")).generation == 2

    def test_a_wrapper_that_returns_recovers_its_own_claims_only(
        self, open_provider: OpenProvider
    ) -> None:
        for wrapper, uid in (("w1", ANNA), ("w2", BERT)):
            dead = open_provider()
            dead.claim(uid, holder(1, wrapper=wrapper))
            dead.close()
        provider = open_provider()
        assert provider.recover(WrapperId("w1")) == [ANNA]
        assert provider.recover(WrapperId("w1")) == []
        holders = {each.uid: each.holder for each in provider.list()}
        assert holders[ANNA] is None
        assert holders[BERT] is not None

    def test_recovering_leaves_living_claims_alone(self, open_provider: OpenProvider) -> None:
        living = open_provider()
        living.claim(ANNA, holder(1))
        assert open_provider().recover(WrapperId("w1")) == []
        living.release(ANNA, Generation(1))

    def test_a_recovered_claims_late_release_changes_nothing(
        self, open_provider: OpenProvider
    ) -> None:
        dead = open_provider()
        dead.claim(ANNA, holder(1))
        dead.close()
        provider = open_provider()
        provider.claim(ANNA, holder(2))
        with pytest.raises(StaleReleaseError):
            dead.release(ANNA, Generation(1))
        with pytest.raises(ClaimedElsewhereError):
            open_provider().claim(ANNA, holder(3))

    def test_the_list_shows_every_volume_with_generation_and_holder(
        self, open_provider: OpenProvider
    ) -> None:
        provider = open_provider()
        provider.claim(ANNA, holder(7))
        anna, bert = provider.list()
        assert (anna.uid, anna.generation) == (ANNA, 1)
        assert anna.holder is not None
        assert anna.holder.boot_id == holder(7).boot_id
        assert (bert.uid, bert.generation, bert.holder) == (BERT, 0, None)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
    def test_the_directory_is_its_servers_alone_while_it_is_claimed(
        self, open_provider: OpenProvider
    ) -> None:
        """And its wrapper's afterwards, however the claim ended."""
        own = 700_001
        dead = open_provider()
        volume = dead.claim(ANNA, msgspec.structs.replace(holder(1), server_uid=own))
        assert _owner_and_mode(volume.path) == (own, 0o700)
        dead.close()
        provider = open_provider()
        provider.recover(WrapperId("w1"))
        assert _owner_and_mode(volume.path) == (0, 0o700)
        again = provider.claim(ANNA, msgspec.structs.replace(holder(2), server_uid=own + 1))
        assert _owner_and_mode(again.path) == (own + 1, 0o700)
        provider.release(ANNA, again.generation)
        assert _owner_and_mode(volume.path) == (0, 0o700)


def _owner_and_mode(path: str) -> tuple[int, int]:
    found = Path(path).stat()
    return found.st_uid, found.st_mode & 0o7777
