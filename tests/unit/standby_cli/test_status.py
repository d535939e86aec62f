"""What `standby status` says of attestation and hardening, as its reader sees it."""

import io

import msgspec
import pytest
from rich.console import Console

from app_wrapper.lives import NOT_ATTESTED
from standby.hardening import Layer, Outcome
from standby.messages import InstanceView, StateCounts
from standby.states import State, StopReason
from standby_cli import assurance, status
from standby_cli.overview import PartView, Status
from tests.unit.standby_cli.states import HARDENED, instance

STARTING = instance(3, State.STARTING, attestation=None, hardening={})
WHY = " (why: `not_hardened` and `servers_get_no_uids` in logs/w1.log)"
WITHOUT = HARDENED | {"landlock": "unsupported", "seccomp": "failed"}


def _status(*instances: InstanceView) -> Status:
    return Status(
        approach="standby",
        away=[],
        seen_by="routing-manager",
        parts=[],
        counts=StateCounts(
            READY=sum(each.state is State.READY for each in instances),
            STARTING=sum(each.state is State.STARTING for each in instances),
        ),
        waiting=0,
        degraded=["w1: [not] a style"],
        attestation=assurance.attestation(instances),
        logins_unproved=assurance.unproved(instances),
        hardening_missing=assurance.missing(instances),
        wrappers=[],
        instances=[*instances],
    )


def _shown(*instances: InstanceView, verbose: bool = False, styles: bool = False) -> list[str]:
    text = io.StringIO()
    console = Console(file=text, width=100, color_system="standard" if styles else None)
    status.show(_status(*instances), console, verbose=verbose)
    return text.getvalue().splitlines()


HOSTILE = [
    "[/nope]",
    "[link=https://example.org]here[/link]",
    "[red]all is well[/]",
    ":warning:",
    "\\[bold]",
]


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("said", HOSTILE)
def test_what_a_server_says_of_itself_is_never_markup(said: str, *, verbose: bool) -> None:
    hostile = instance(0, attestation=said, hardening={"landlock": said})
    shown = "\n".join(_shown(hostile, instance(1), verbose=verbose))
    assert shown.count(said) >= 1 + verbose


def test_nothing_that_a_server_says_is_a_command_to_the_terminal() -> None:
    said = "\x1b]8;;https://example.org\x07here\x1b[2J\u202e"
    hostile = instance(0, attestation=said, hardening={"landlock": said})
    shown = "\n".join(_shown(hostile, verbose=True))
    assert all(each.isprintable() or each == "\n" for each in shown)
    assert r"\x1b]8;;https" in shown


def test_servers_that_are_alike_need_one_line_for_each_fact() -> None:
    lines = _shown(*map(instance, range(3)), STARTING)
    assert lines[1] == "degraded w1: [not] a style"
    assert lines[2:4] == ["attestation: SIMULATED, policy 1", "hardening: all layers"]


def test_simulated_is_shown_in_red() -> None:
    line = next(line for line in _shown(instance(0), styles=True) if "attestation" in line)
    assert "\x1b[31mSIMULATED\x1b[0m" in line


def test_every_missing_layer_is_shown_with_the_servers_that_lack_it() -> None:
    some = [instance(0), instance(1, hardening=WITHOUT), instance(2, hardening={})]
    assert _shown(*some)[3:5] == [
        "hardening: own-uid, rlimits, not-dumpable, no-new-privs, mdwe missing on w1/2" + WHY,
        "hardening: landlock, seccomp missing on w1/1, w1/2",
    ]
    assert _status(*some).hardening_missing["mdwe"] == ["w1/2"]


@pytest.mark.parametrize(
    ("instances", "text"),
    [
        ([instance(0, hardening={})], "all layers missing on the one server"),
        (
            [instance(n, hardening=WITHOUT) for n in (0, 1)],
            "landlock, seccomp missing on every server",
        ),
        (
            [instance(n, hardening=WITHOUT) for n in range(9)] + [instance(9)],
            "landlock, seccomp missing on w1/0, w1/1, w1/2, w1/3 and 5 others",
        ),
    ],
)
def test_many_servers_are_counted(instances: list[InstanceView], text: str) -> None:
    assert assurance.hardening(instances) == [text]


def test_a_layer_of_which_the_kernel_lacks_a_part_is_not_missing() -> None:
    partly = instance(0, hardening=HARDENED | {"landlock": "partly"})
    assert assurance.missing([partly]) == {}
    assert assurance.of_instance(partly) == "landlock partly"


def test_a_uid_that_only_root_could_give_is_said_and_not_blamed() -> None:
    shared = HARDENED | {Layer.OWN_UID: Outcome.UNSUPPORTED}
    chosen = [instance(0, hardening=shared), instance(1, hardening=shared)]
    assert _shown(*chosen)[3] == "hardening: all layers but own-uid, which only root can give"
    assert _shown(*chosen, instance(2, hardening=WITHOUT))[3:5] == [
        "hardening: landlock, seccomp missing on w1/2",
        "hardening: own-uid missing, which only root can give",
    ]
    failed = [instance(0, hardening=HARDENED | {Layer.OWN_UID: Outcome.FAILED})]
    assert assurance.hardening(failed) == ["own-uid missing on the one server" + WHY]
    assert assurance.missing(chosen) == {"own-uid": ["w1/0", "w1/1"]}


def test_servers_that_were_admitted_by_different_policies_are_counted() -> None:
    mixed = [instance(0), instance(1, attestation="SIMULATED, policy 2"), instance(2)]
    assert (
        assurance.attestation([*mixed, instance(4, attestation=None)])
        == "2 by SIMULATED, policy 1; 1 by SIMULATED, policy 2; 1 by none"
    )


@pytest.mark.parametrize(
    ("reason", "installed", "words"),
    [
        ("mrenclave: expected aa…, found bb…", False, "`standby up` for a new policy"),
        ("variant 'x': mrenclave: expected aa…, found bb…", True, "a policy that admits it"),
        ("evidence_age: expected at most 600 s, found 700 s", False, None),
    ],
)
def test_what_to_do_about_a_changed_program_is_said(
    reason: str, words: str | None, *, installed: bool
) -> None:
    found = msgspec.structs.replace(_status(), degraded=[f"w1: why: {NOT_ATTESTED}{reason}"] * 2)
    text = io.StringIO()
    status.show(found, Console(file=text, width=60), installed=installed)
    advice = [line for line in text.getvalue().splitlines() if "put it back" in line]
    assert len(advice) == (words is not None)
    assert words is None or words in advice[0]


def test_before_a_server_is_up_nothing_is_claimed() -> None:
    lines = _shown(STARTING)
    assert "attestation: no server is up" in lines
    assert not any(line.startswith("hardening") for line in lines)


def test_each_server_can_be_looked_at_within_a_hundred_columns() -> None:
    lines = _shown(instance(0, hardening=WITHOUT), STARTING, verbose=True)
    assert max(map(len, lines)) <= 100
    assert lines[-2].split() == [
        "w1", "0", "SIMULATED,", "policy", "1", "landlock", "unsupported,", "seccomp", "failed",
    ]  # fmt: skip
    assert lines[-1].split() == ["w1", "3"]


def test_the_data_has_the_same_facts() -> None:
    data = msgspec.to_builtins(_status(instance(0, hardening=WITHOUT)))
    assert data["attestation"] == "SIMULATED, policy 1"
    assert data["hardening_missing"] == {"landlock": ["w1/0"], "seccomp": ["w1/0"]}
    assert data["instances"][0]["hardening"] == WITHOUT


def test_while_the_routing_manager_is_away_it_is_said_first_with_every_part() -> None:
    parts = [
        PartView(
            name="routing-manager",
            pid=None,
            wanted=True,
            seconds=12.0,
            ends=2,
            last_exit="killed by SIGKILL",
        ),
        PartView(name="w1", pid=77, wanted=True, seconds=300.0, ends=0, last_exit=None),
        PartView(
            name="w2", pid=None, wanted=False, seconds=60.0, ends=1, last_exit="exit status 3"
        ),
    ]
    away = ["routing-manager has not run for 12.0 s: killed by SIGKILL"]
    found = msgspec.structs.replace(
        _status(instance(0)), away=away, parts=parts, seen_by="wrappers"
    )
    text = io.StringIO()
    status.show(found, Console(file=text, width=100))
    lines = text.getvalue().splitlines()
    assert lines[0].startswith("standby: 0 Starting, 1 Ready")
    assert "waiting" not in lines[0], "nobody who was asked knows"
    assert lines[1] == f"away {away[0]}"
    assert "open sessions go on" in lines[2]
    table = [line.split()[:2] for line in lines]
    assert ["routing-manager", "away"] in table
    assert ["w1", "runs"] in table
    assert ["w2", "left"] in table


@pytest.mark.parametrize(
    ("reason", "red"),
    [(StopReason.LOGOUT, False), (StopReason.RESIZED, False), (StopReason.CRASHED, True)],
)
def test_only_an_end_that_is_trouble_is_red(reason: StopReason, *, red: bool) -> None:
    lines = _shown(instance(0, State.STOPPED, reason=reason), styles=True)
    (line,) = [line for line in lines if "Stopped" in line and str(reason) in line]
    assert ("\x1b[31mStopped" in line) == red


def test_servers_that_are_believed_about_their_user_are_named_in_red() -> None:
    """They have no channel to their wrapper, so their users prove nothing; one that starts has none yet."""
    believed = instance(1, attestation=None, hardening=HARDENED)
    line = next(
        each for each in _shown(instance(0), believed, STARTING, styles=True) if "LOGINs" in each
    )
    assert "\x1b[31mbelieved without the user's proof on w1/1\x1b[0m" in line
    assert _status(instance(0), believed, STARTING).logins_unproved == ["w1/1"]


def test_where_every_login_is_proved_nothing_is_said_of_it() -> None:
    shown = "\n".join(_shown(instance(0), instance(1, attestation="off"), STARTING))
    assert "LOGINs" not in shown
