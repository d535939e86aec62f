from pathlib import Path

import pytest

from app_wrapper.epoch import EpochStore
from app_wrapper.errors import StateDirError
from standby.ids import EPOCH_LEAP, LARGEST, Epoch


def test_each_life_has_a_higher_epoch(tmp_path: Path) -> None:
    for expected in (1, 2, 3):
        store = EpochStore(tmp_path / "state")
        assert store.epoch == expected
        store.close()


def test_it_can_be_raised_above_what_others_know(tmp_path: Path) -> None:
    store = EpochStore(tmp_path)
    assert store.raise_above(Epoch(41)) == 42
    assert store.raise_above(Epoch(3)) == 43
    store.close()
    again = EpochStore(tmp_path)
    assert again.epoch == 44
    again.close()


def test_a_directory_in_use_is_refused_until_it_is_free(tmp_path: Path) -> None:
    store = EpochStore(tmp_path)
    with pytest.raises(StateDirError, match="another wrapper"):
        EpochStore(tmp_path)
    store.close()
    EpochStore(tmp_path).close()


@pytest.mark.parametrize(
    "content", ["many", "", "-1", "1.0", str(10**26), "9" * 5000, str(LARGEST)]
)
def test_an_epoch_that_nobody_counted_is_not_guessed(tmp_path: Path, content: str) -> None:
    (tmp_path / "epoch").write_text(content)
    with pytest.raises(StateDirError, match=r"cannot be kept.*delete it"):
        EpochStore(tmp_path)
    (tmp_path / "epoch").unlink()
    EpochStore(tmp_path).close()


@pytest.mark.parametrize("known", [2 + EPOCH_LEAP, 2**53, 10**4000, LARGEST])
def test_what_no_wrapper_can_have_reached_is_not_taken_over(tmp_path: Path, known: int) -> None:
    store = EpochStore(tmp_path)
    with pytest.raises(ValueError, match="not believed"):
        store.raise_above(Epoch(known))
    assert store.epoch == 1
    assert (tmp_path / "epoch").read_text() == "1\n"
    store.close()


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateDirError, match="cannot be used"):
        EpochStore(tmp_path / "file" / "state")
