"""`standby audit verify`, from a log to what is printed and the exit status."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from attestation.audit import (
    KEY_FILE,
    LOG_FILE,
    AuditLog,
    Head,
    Outcome,
    read_public_key,
    segments,
)
from standby import pki
from standby_cli import audit
from standby_cli.main import cli

KEY = Ed25519PrivateKey.generate()
Lines = list[bytes]


def _write(directory: Path, key: Ed25519PrivateKey = KEY) -> list[Head]:
    with AuditLog.open(directory, key) as log:
        return [log.append({"n": number}) for number in range(3)]


@pytest.fixture
def heads(tmp_path: Path) -> list[Head]:
    return _write(tmp_path / "audit" / "w1")


def _run(tmp_path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(
        cli, ["audit", "verify", *arguments], env={"STANDBY_STATE_DIR": str(tmp_path)}
    )


def test_a_whole_log_is_fine_and_its_head_is_printed(tmp_path: Path, heads: list[Head]) -> None:
    done = _run(tmp_path)
    assert done.exit_code == 0
    log = tmp_path / "audit" / "w1" / LOG_FILE
    assert done.stdout.splitlines() == [
        f"fine: {log}: 3 entries, all as they were written",
        f"head: w1={heads[-1]}",
    ]
    again = _run(tmp_path, "--state-dir", str(tmp_path), "--head", done.stdout.split()[-1])
    assert (again.exit_code, again.stdout) == (0, done.stdout)


def _altered(lines: Lines) -> Lines:
    return [lines[0], lines[1].replace(b'"n":1', b'"n":7'), lines[2]]


CHANGES: list[tuple[Callable[[Lines], Lines], Outcome, int]] = [
    (lambda lines: lines, Outcome.FINE, 0),
    (lambda lines: [*lines, b"{"], Outcome.TORN_END, 10),
    (lambda lines: lines[:2], Outcome.TRUNCATED, 14),
    (lambda lines: [b"hello\n", *lines], Outcome.UNREADABLE, 16),
    (lambda lines: lines[1:], Outcome.MISSING, 17),
    (_altered, Outcome.ALTERED, 20),
]


@pytest.mark.parametrize(
    ("change", "outcome", "status"), CHANGES, ids=[each for _, each, _ in CHANGES]
)
def test_each_outcome_has_its_exit_status(
    change: Callable[[Lines], Lines],
    outcome: Outcome,
    status: int,
    tmp_path: Path,
    heads: list[Head],
) -> None:
    log = tmp_path / "audit" / "w1" / LOG_FILE
    log.write_bytes(b"".join(change(log.read_bytes().splitlines(keepends=True))))
    done = _run(tmp_path, "--head", str(heads[-1]), "--json")
    found = json.loads(done.stdout)
    (report,) = found["logs"]
    assert (done.exit_code, found["exit_status"], report["exit_status"]) == (status,) * 3
    assert (report["result"]["outcome"], report["file"]) == (outcome, str(log))


def test_another_log_than_the_known_one_and_another_signers_log(
    tmp_path: Path, heads: list[Head]
) -> None:
    _write(tmp_path / "other" / "audit" / "w1")
    rewritten = _run(tmp_path / "other", "--head", str(heads[1]))
    assert (rewritten.exit_code, rewritten.stdout.split(":")[0]) == (18, "rewritten")
    _write(tmp_path / "foreign" / "audit" / "w1", Ed25519PrivateKey.generate())
    key = str(tmp_path / "audit" / "w1" / KEY_FILE)
    foreign = _run(tmp_path / "foreign", "--key", key)
    assert (foreign.exit_code, foreign.stdout.split(":")[0]) == (19, "wrong_signer")
    assert "head" not in foreign.stdout


def test_a_copy_is_verified_with_a_key_of_ones_own(tmp_path: Path, heads: list[Head]) -> None:
    copy = (tmp_path / "audit" / "w1" / LOG_FILE).rename(tmp_path / "copy.jsonl")
    without = _run(tmp_path, str(copy))
    assert without.exit_code == 2
    assert "--key" in without.stderr
    done = _run(tmp_path, str(copy), "--key", str(tmp_path / "audit" / "w1" / KEY_FILE))
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == f"head: {heads[-1]}"
    wrapper = _run(
        tmp_path,
        str(copy),
        "--key",
        str(tmp_path / "audit" / "w1" / KEY_FILE),
        "--head",
        f"w1={heads[-1]}",
    )
    assert wrapper.exit_code == 0


def test_what_a_crash_left_is_said(tmp_path: Path, heads: list[Head]) -> None:
    with (tmp_path / "audit" / "w1" / LOG_FILE).open("ab") as log:
        log.write(b'{"entry":')
    _write(tmp_path / "audit" / "w1")
    done = _run(tmp_path, "--head", str(heads[-1]))
    assert done.exit_code == 0
    assert "note: an unfinished entry stood before entry 4" in done.stdout


@pytest.fixture
def closed(tmp_path: Path) -> list[Path]:
    """The closed segments of a log."""
    directory = tmp_path / "audit" / "w1"
    with AuditLog.open(directory, KEY, segment=1) as log:
        for number in range(3):
            log.append({"n": number})
    found = segments(directory)[:-1]
    assert len(found) == 2
    return found


def test_segments_that_were_moved_away_are_told_and_verified_where_they_are(
    tmp_path: Path, closed: list[Path]
) -> None:
    whole = _run(tmp_path)
    assert whole.exit_code == 0
    assert ": 7 entries, all as they were written\n" in whole.stdout
    archive = tmp_path / "archive"
    archive.mkdir()
    moved = [each.rename(archive / each.name) for each in closed]
    done = _run(tmp_path, "--head", whole.stdout.split()[-1])
    assert done.exit_code == 0
    first, note, _ = done.stdout.splitlines()
    assert first.endswith(": entries 6 to 7, all as they were written")
    assert note.startswith("note: entries 1 to 5 were moved away; their segments must end with ")
    key = str(tmp_path / "audit" / "w1" / KEY_FILE)
    files = [str(each) for each in reversed(moved)]  # in any order
    archived = _run(tmp_path, *files, "--key", key, "--head", note.split()[-1])
    assert archived.exit_code == 0
    assert "5 entries, all as they were written, and the last segment is closed" in archived.stdout
    early = _run(tmp_path, "--head", f"2:{'0' * 64}")
    assert early.exit_code == 0
    assert "note: the --head is among these" in early.stdout


def test_a_segment_that_is_missing_in_the_middle_is_an_error(
    tmp_path: Path, closed: list[Path]
) -> None:
    closed[1].unlink()
    done = _run(tmp_path)
    assert (done.exit_code, done.stdout.split(":")[0]) == (17, "missing")


def test_closed_segments_without_the_one_that_is_written_are_no_whole_log(
    tmp_path: Path, closed: list[Path]
) -> None:
    (closed[0].parent / LOG_FILE).unlink()
    done = _run(tmp_path)
    assert done.exit_code == 16
    assert "there is no log" in done.stdout


def test_a_segment_that_is_closed_while_the_log_is_read_is_not_missed(
    tmp_path: Path, heads: list[Head], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A running wrapper does that between the look for files and their reading."""

    def later(file: Path) -> object:
        monkeypatch.setattr("standby_cli.audit.read_public_key", read_public_key)
        with AuditLog.open(file.parent, KEY, segment=1) as log:
            log.append({"n": "later"})
        return read_public_key(file)

    monkeypatch.setattr("standby_cli.audit.read_public_key", later)
    done = _run(tmp_path, "--head", str(heads[-1]))
    assert done.exit_code == 0
    assert len(segments(tmp_path / "audit" / "w1")) == 2


def test_no_log_is_not_a_fine_log(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "none"):
        done = _run(directory)
        assert done.exit_code == 16
        assert done.stdout == f"unreadable: no platform has run with {directory}\n"
    assert _run(tmp_path, "--head", f"1:{'0' * 64}").exit_code == 16


def test_logs_that_are_gone_are_not_a_platform_that_never_ran(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "w1.log").touch()
    done = _run(tmp_path)
    assert done.exit_code == 16
    assert done.stdout.startswith(f"unreadable: there are no logs of verdicts in {tmp_path}/audit")


def test_a_key_that_is_none(tmp_path: Path, heads: list[Head]) -> None:
    own = tmp_path / "own.pem"
    own.write_text("hello")
    done = _run(tmp_path, "--head", str(heads[0]), "--key", str(own))
    assert "public key cannot be used" in str(done.exception)
    assert str(done.exception).endswith(f"{own} does not hold a public key (PEM)")
    assert done.exit_code == 1
    own.write_bytes(pki.certificate_pem(pki.Authority.create("x", dt.timedelta(1)).certificate))
    done = _run(tmp_path, "--key", str(own))
    assert str(done.exception).endswith(f"{own} is a certificate, not the log's {KEY_FILE}")
    (tmp_path / "audit" / "w1" / KEY_FILE).unlink()
    done = _run(tmp_path)
    assert done.exit_code == 16
    assert "public key cannot be used" in done.stdout


@pytest.fixture
def second(tmp_path: Path) -> list[Head]:
    return _write(tmp_path / "audit" / "w2", Ed25519PrivateKey.generate())


def test_the_logs_of_all_wrappers_are_verified_and_the_worst_one_counts(
    tmp_path: Path, heads: list[Head], second: list[Head]
) -> None:
    fine = _run(tmp_path)
    assert fine.exit_code == 0
    printed = [line.split()[-1] for line in fine.stdout.splitlines() if line.startswith("head:")]
    assert printed == [f"w1={heads[-1]}", f"w2={second[-1]}"]
    again = [text for head in printed for text in ("--head", head)]
    assert _run(tmp_path, *again).exit_code == 0
    first = tmp_path / "audit" / "w1" / LOG_FILE
    first.write_bytes(b"".join(_altered(first.read_bytes().splitlines(keepends=True))))
    log = tmp_path / "audit" / "w2" / LOG_FILE
    log.write_bytes(log.read_bytes() + b"{")
    done = _run(tmp_path)
    assert done.exit_code == 20
    outcomes = [(line.split(":")[0], str(tmp_path) in line) for line in done.stdout.splitlines()]
    assert [each for each in outcomes if each[1]] == [("altered", True), ("torn_end", True)]
    assert json.loads(_run(tmp_path, "--json").stdout)["exit_status"] == 20


def test_a_log_that_was_known_and_is_gone_is_noticed(
    tmp_path: Path, heads: list[Head], second: list[Head]
) -> None:
    (tmp_path / "audit" / "w2" / LOG_FILE).unlink()
    assert _run(tmp_path).exit_code == 0
    done = _run(tmp_path, "--head", f"w1={heads[-1]}", "--head", f"w2={second[-1]}")
    assert done.exit_code == 16
    assert f"unreadable: there is no log {tmp_path}/audit/w2/{LOG_FILE}\n" in done.stdout


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize("which", ["head", "key", "twice"])
def test_of_several_logs_it_must_be_said_which_one_is_meant(
    which: str, tmp_path: Path, heads: list[Head]
) -> None:
    head = f"w1={heads[-1]}"
    arguments = {
        "head": ["--head", str(heads[-1])],
        "key": ["--key", str(tmp_path / "audit" / "w1" / KEY_FILE)],
        "twice": ["--head", head, "--head", head],
    }
    assert _run(tmp_path, *arguments[which]).exit_code == 2


@pytest.mark.parametrize(
    "head", ["", "7", "7:abc", "0:" + "a" * 64, "=1:" + "a" * 64, "../w1=1:" + "a" * 64]
)
def test_a_head_that_is_none_is_a_wrong_command_line(head: str, tmp_path: Path) -> None:
    assert _run(tmp_path, "--head", head).exit_code == 2


def test_the_help_lists_every_exit_status() -> None:
    text = CliRunner().invoke(cli, ["audit", "verify", "--help"]).stdout
    assert set(audit.EXIT_STATUS) == set(Outcome)
    assert len(set(audit.EXIT_STATUS.values())) == len(Outcome)
    for status in audit.EXIT_STATUS.values():
        assert f"  {status} " in text
