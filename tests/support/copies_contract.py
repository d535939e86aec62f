"""The contract of volumes' copies as tests: a provider's tests inherit `CopiesContract` and say how to make one."""

from pathlib import Path
from typing import Any

import pytest

from app_wrapper.volumes import ClaimedElsewhereError, UnknownUserError, Volumes
from app_wrapper.volumes.copies import Kept, NoSuchCopyError, VolumeCopies
from standby.ids import Generation
from tests.support.volume_contract import ANNA, BERT, NOBODY, holder

Both = tuple[Volumes, VolumeCopies]


def go_on() -> None:
    """Between two parts of a copy."""


def session(both: Both, content: str, *, closed: bool = True) -> Generation:
    """The user's data is this afterwards; `closed`: it ended well, and a copy is due."""
    volumes, copies = both
    volume = volumes.claim(ANNA, holder())
    (Path(volume.path) / "file").write_text(content)
    volumes.release(ANNA, volume.generation)
    if closed:
        copies.closed(ANNA, volume.generation)
    return volume.generation


def copied(both: Both, content: str) -> None:
    session(both, content)
    assert both[1].keep(ANNA, go_on) is Kept.MADE


def content(both: Both) -> str:
    """As the next server finds it."""
    volumes, _ = both
    volume = volumes.claim(ANNA, holder())
    try:
        return (Path(volume.path) / "file").read_text()
    finally:
        volumes.release(ANNA, volume.generation)


class CopiesContract:
    """Users anna and bert have volumes, nobody has none; nothing was copied yet."""

    @pytest.fixture
    def both(self) -> Both:
        raise NotImplementedError

    def test_what_a_session_destroyed_is_restored(self, both: Both) -> None:
        copied(both, "good")
        session(both, "destroyed", closed=False)
        both[1].restore(ANNA)
        assert content(both) == "good"

    def test_a_session_that_ends_well_cannot_destroy_either(self, both: Both) -> None:
        """Nor can a second one; each is one copy."""
        for each in ("good", "bad", "worse"):
            copied(both, each)
        good, *_ = both[1].list(ANNA)
        both[1].restore(ANNA, good.number)
        assert content(both) == "good"

    def test_the_newest_copy_that_differs_is_restored_by_itself(self, both: Both) -> None:
        copied(both, "good")
        copied(both, "emptied")
        assert both[1].restore(ANNA).source.generation == 1
        assert content(both) == "good"

    def test_a_restore_can_be_undone(self, both: Both) -> None:
        copied(both, "good")
        session(both, "never copied", closed=False)
        replaced = both[1].restore(ANNA).replaced
        assert replaced is not None
        assert replaced.replaced
        both[1].restore(ANNA, replaced.number)
        assert content(both) == "never copied"

    def test_what_is_to_be_discarded_is_not_kept(self, both: Both) -> None:
        copied(both, "good")
        session(both, "never copied", closed=False)
        assert both[1].restore(ANNA, discard=True).replaced is None
        assert content(both) == "good"

    def test_what_was_restored_is_the_newest_copy(self, both: Both) -> None:
        """So the next session cannot destroy it, and it is not copied again if that changes nothing."""
        copied(both, "good")
        for each in ("bad", "worse"):
            copied(both, each)
        restored = both[1].restore(ANNA, both[1].list(ANNA)[0].number)
        newest = both[1].list(ANNA)[-1]
        assert newest.restored == restored.source.number
        volume = both[0].claim(ANNA, holder())
        both[0].release(ANNA, volume.generation)
        both[1].closed(ANNA, volume.generation)
        assert both[1].keep(ANNA, go_on) is Kept.UNCHANGED

    def test_while_the_user_has_a_session_nothing_is_restored(self, both: Both) -> None:
        copied(both, "good")
        before = both[1].list(ANNA)
        volume = both[0].claim(ANNA, holder(7))
        (Path(volume.path) / "file").write_text("in a session")
        with pytest.raises(ClaimedElsewhereError) as refused:
            both[1].restore(ANNA)
        assert refused.value.boot_id == holder(7).boot_id
        assert (Path(volume.path) / "file").read_text() == "in a session"
        assert both[1].list(ANNA) == before

    def test_generations_go_on_after_a_restore(self, both: Both) -> None:
        copied(both, "good")
        session(both, "bad")
        both[1].restore(ANNA, 1)
        assert both[0].claim(ANNA, holder()).generation == 3

    def test_new_data_takes_the_place_of_what_is_kept_as_a_copy(
        self, both: Both, tmp_path: Path
    ) -> None:
        copied(both, "old")
        session(both, "never copied", closed=False)
        (tmp_path / "new").mkdir()
        (tmp_path / "new/file").write_text("new")
        replaced = both[1].renew(ANNA, tmp_path / "new")
        assert content(both) == "new"
        assert replaced is not None
        assert replaced.replaced
        assert both[1].list(ANNA)[-1].restored is None
        both[1].restore(ANNA, replaced.number)
        assert content(both) == "never copied"

    def test_new_data_changes_no_generation_and_waits_for_no_session(
        self, both: Both, tmp_path: Path
    ) -> None:
        copied(both, "old")
        (tmp_path / "new").mkdir()
        (tmp_path / "new/file").write_text("new")
        volume = both[0].claim(ANNA, holder(7))
        with pytest.raises(ClaimedElsewhereError):
            both[1].renew(ANNA, tmp_path / "new")
        assert (Path(volume.path) / "file").read_text() == "old"
        both[0].release(ANNA, volume.generation)
        both[1].renew(ANNA, tmp_path / "new")
        assert both[0].claim(ANNA, holder()).generation == volume.generation + 1
        with pytest.raises(UnknownUserError):
            both[1].renew(NOBODY, tmp_path / "new")

    def test_a_copy_that_nobody_made_cannot_be_restored(self, both: Both) -> None:
        with pytest.raises(NoSuchCopyError):
            both[1].restore(ANNA)
        copied(both, "good")
        with pytest.raises(NoSuchCopyError):
            both[1].restore(ANNA, 17)
        with pytest.raises(NoSuchCopyError, match="differs"):
            both[1].restore(ANNA)
        with pytest.raises(UnknownUserError):
            both[1].restore(NOBODY)

    def test_a_user_who_logs_in_is_not_kept_waiting_by_a_copy(self, both: Both) -> None:
        """And the copy, which may be half of one state and half of another, is given up."""
        copied(both, "good")
        session(both, "better")
        claimed: list[Any] = []

        def logs_in() -> None:
            if not claimed:
                claimed.append(both[0].claim(ANNA, holder(2)))
                (Path(claimed[0].path) / "file").write_text("a session's")

        assert both[1].keep(ANNA, logs_in) is Kept.GIVEN_UP
        assert [each.generation for each in both[1].list(ANNA)] == [1]

    def test_a_session_that_ends_while_an_earlier_one_is_copied_is_due(self, both: Both) -> None:
        copied(both, "good")
        session(both, "better")
        ended: list[Generation] = []

        def comes_and_goes() -> None:
            if not ended:
                ended.append(session(both, "best"))

        assert both[1].keep(ANNA, comes_and_goes) is Kept.GIVEN_UP
        assert ANNA in both[1].due()
        assert both[1].keep(ANNA, go_on) is Kept.MADE
        assert both[1].list(ANNA)[-1].generation == ended[0]

    def test_a_state_that_is_gone_is_not_copied(self, both: Both) -> None:
        copied(both, "good")
        session(both, "better")
        session(both, "crashed", closed=False)
        assert both[1].keep(ANNA, go_on) is Kept.GIVEN_UP
        assert both[1].keep(ANNA, go_on) is Kept.UNCHANGED

    def test_an_unchanged_volume_is_not_copied_again(self, both: Both) -> None:
        copied(both, "good")
        volume = both[0].claim(ANNA, holder())
        both[0].release(ANNA, volume.generation)
        both[1].closed(ANNA, volume.generation)
        assert both[1].keep(ANNA, go_on) is Kept.UNCHANGED
        assert len(both[1].list(ANNA)) == 1

    def test_what_is_due_is_remembered_until_it_is_done(self, both: Both) -> None:
        assert set(both[1].due()) == {ANNA, BERT}, "volumes that have no copy yet"
        copied(both, "good")
        assert both[1].due() == [BERT]
        session(both, "better")
        assert set(both[1].due()) == {ANNA, BERT}
        assert both[1].keep(ANNA, go_on) is Kept.MADE
        assert both[1].due() == [BERT]

    def test_an_error_between_two_parts_leaves_the_copies_that_were_there(self, both: Both) -> None:
        copied(both, "good")
        session(both, "better")

        def ends() -> None:
            raise InterruptedError("the wrapper ends")

        with pytest.raises(Exception, match="the wrapper ends"):
            both[1].keep(ANNA, ends)
        assert [each.generation for each in both[1].list(ANNA)] == [1]
        assert ANNA in both[1].due()
        assert both[1].keep(ANNA, go_on) is Kept.MADE
