"""What becomes of the layer without root, without a uid, and where the kernel only says that it has changed one."""

import os
from typing import Any

import pytest

from standby.hardening import LayerReport, Outcome, Report, own_uid
from standby.hardening.errors import UnsupportedError
from standby.hardening.plan import ALL, Layer, Plan

UID = 700_001


def _said(outcome: Outcome) -> Report:
    """A uid of its own with that outcome, and a layer that this kernel lacks."""
    own = LayerReport(layer=Layer.OWN_UID, outcome=outcome)
    return Report((own, LayerReport(layer=Layer.MDWE, outcome=Outcome.UNSUPPORTED)))


def _nothing(*_: Any) -> None:
    """A call that says it has done what was asked."""


def test_the_uid_is_changed_before_anything_else() -> None:
    assert next(iter(Layer)) is Layer.OWN_UID
    assert Layer.OWN_UID in ALL
    assert Plan().run_as is None


def test_without_root_and_without_a_uid_nothing_can_be_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UnsupportedError, match="needs a wrapper started as root"):
        own_uid.change(None)


def test_root_that_was_given_no_uid_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ValueError, match="was given no uid"):
        own_uid.change(None)


@pytest.mark.parametrize("uid", [0, -1, 2**32 - 1])
def test_a_uid_that_is_nobodys_own_is_refused(uid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for call in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, call, _nothing)
    with pytest.raises(ValueError, match="no uid of a process's own"):
        own_uid.change(uid)


def test_a_change_is_not_believed_but_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for call in ("setgroups", "setresgid", "setresuid"):
        monkeypatch.setattr(os, call, _nothing)
    with pytest.raises(OSError, match="did not become"):
        own_uid.change(UID)


@pytest.mark.parametrize("outcome", [Outcome.APPLIED, Outcome.UNSUPPORTED])
def test_what_only_root_could_give_is_missing_but_excused(outcome: Outcome) -> None:
    report = _said(outcome)
    assert len(report.excused) == (outcome is Outcome.UNSUPPORTED)
    assert [each.layer for each in report.unmet] == [Layer.MDWE]
    assert len(report.missing) == len(report.excused) + 1


def test_a_uid_that_could_be_had_and_was_not_is_not_excused() -> None:
    report = _said(Outcome.FAILED)
    assert report.excused == ()
    assert [each.layer for each in report.unmet] == [Layer.OWN_UID, Layer.MDWE]
