"""The rehearsal of a server's life leaves nothing behind."""

import tempfile
import threading
from pathlib import Path

import pytest

from smartgrid_server.rehearsal import rehearse


def _open() -> set[str]:
    return {str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.exists()}


def test_no_file_no_thread_and_no_descriptor_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rehearse()  # the first one leaves what libraries keep
    before = _open()
    threads = threading.active_count()
    rehearse()
    assert _open() == before
    assert threading.active_count() == threads
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
