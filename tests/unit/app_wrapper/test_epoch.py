from pathlib import Path

import pytest

from app_wrapper.epoch import EpochStore
from app_wrapper.errors import StateDirError
from standby.ids import Epoch


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


def test_an_epoch_that_cannot_be_read_is_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "epoch").write_text("many")
    with pytest.raises(StateDirError, match="cannot be kept"):
        EpochStore(tmp_path)


def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateDirError, match="cannot be used"):
        EpochStore(tmp_path / "file" / "state")
