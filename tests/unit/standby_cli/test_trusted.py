"""What `standby up` makes of `--attestation` and `--policy`, before anything is started."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app_wrapper.measuring import LaunchMeter
from app_wrapper.settings import Attestation, LauncherKind
from attestation import policy, policy_signing, signed_policy, trust
from attestation.claims import Root
from attestation.policy import Policy, PolicyError
from attestation.soft.keeping import KEYS_FILE
from attestation.soft.platform import SoftPlatform
from attestation.trust import Trust
from attestation.trust_files import KEY_FILE, ROOT_FILE
from standby.approach import Approach
from standby.seal import PLAIN
from standby_cli import environs, kept_policy, parts, trusted
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout
from standby_cli.measure import Measured
from standby_cli.options import Options
from standby_cli.program import Program, measured
from standby_cli.seal import SealError
from standby_cli.trusted import TrustError
from tests.unit.standby_cli.states import program

ONE, OTHER = "a" * 64, "b" * 64
INTEL = """\
version = 7
root = "intel"
one_user_per_process = true
maximum_evidence_age_seconds = 600
accepted_tcb = ["UpToDate"]

[[variant]]
name = "built elsewhere"
mrenclave = ["cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"]
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    return made


@pytest.fixture
def told() -> list[str]:
    return []


Up = Callable[..., Trust | None]


@pytest.fixture
def up(layout: Layout, told: list[str]) -> Up:
    """Begins as `standby up` does, with a program of this measurement."""

    def begin(
        measurement: str = ONE,
        kind: Attestation = Attestation.SOFT_DCAP,
        file: Path | None = None,
        *,
        rolling: bool = False,
    ) -> Trust | None:
        def measure() -> Program:
            told.append("measured")
            return program(measurement)

        told.clear()
        options = Options(Approach.STANDBY, 1, 1, "127.0.0.1", 0, kind, file)
        seal = Authorities(layout).seal
        return trusted.prepare(options, layout, seal, told.append, measure, rolling=rolling)

    return begin


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A policy that an operator has, with a version and a root of its own."""
    file = tmp_path / "mine" / "policy.toml"
    file.parent.mkdir()
    file.write_text("# reviewed by us\n" + program(OTHER).policy(5))
    return file


def _measurements(found: Trust | None) -> list[tuple[str, ...] | None]:
    assert found
    return _measurements_of(found.policy)


def _measurements_of(made: Policy) -> list[tuple[str, ...] | None]:
    return [variant.mrenclave for variant in made.variants]


def test_without_a_policy_exactly_what_would_be_started_is_admitted(
    up: Up, layout: Layout, told: list[str]
) -> None:
    found = up()
    assert _measurements(found) == [(ONE,)]
    assert found
    assert found == trust.load(layout.policy)
    assert (found.policy.version, found.policy.root) == (1, Root.SIMULATED)
    assert told == ["measuring the servers' program", "measured"]
    kept = msgspec.json.decode(layout.measured.read_bytes(), type=Measured)
    assert kept == program(ONE).measured


def test_the_same_program_has_the_same_policy_at_the_next_start(
    up: Up, layout: Layout, told: list[str]
) -> None:
    up()
    before = layout.policy.read_bytes(), layout.simulated_root.read_bytes()
    up()
    assert (layout.policy.read_bytes(), layout.simulated_root.read_bytes()) == before
    assert told == ["measuring the servers' program", "measured"]


def test_a_changed_program_is_the_next_version_and_it_is_said_once(
    up: Up, layout: Layout, told: list[str]
) -> None:
    up()
    found = up(OTHER)
    assert found
    assert found.policy.version == 2
    assert _measurements(found) == [(OTHER,)]
    (line,) = told[2:]
    assert "version 2" in line
    assert "file app/server.py" in line
    assert "\n" not in line
    assert "enrolled clients take it from the servers" in line
    assert f"others need {layout.policy}" in line
    assert msgspec.json.decode(layout.measured.read_bytes(), type=Measured).measurement == OTHER
    up(OTHER)
    assert told[2:] == []
    layout.measured.write_text("{}")
    third = up(ONE)
    assert third
    assert third.policy.version == 3
    assert "not known" in told[2]


def test_while_wrappers_are_restarted_the_old_program_stays_admitted_and_the_next_start_says_so(
    up: Up, told: list[str]
) -> None:
    up()
    found = up(OTHER, rolling=True)
    assert _measurements(found) == [(ONE,), (OTHER,)]
    assert found
    assert found.policy.version == 2
    assert "still admits the old program" in told[2]
    assert up(OTHER, rolling=True) == found
    assert told[2:] == []
    assert up(OTHER) == found
    assert "`standby policy withdraw`" in told[2]


def test_the_platforms_own_policy_is_signed_with_a_key_that_is_sealed(
    up: Up, layout: Layout
) -> None:
    up()
    public = policy_signing.load_public(layout.policy_key)
    signed = signed_policy.load(layout.policy)
    assert signed
    assert policy_signing.check(signed, public) == policy.load(layout.policy)
    sealed = layout.own_policy_key.read_bytes()
    opened = Authorities(layout).seal.open(sealed)
    assert Ed25519PrivateKey.from_private_bytes(opened).public_key() == public
    assert opened not in sealed
    before = layout.policy_key.read_bytes()
    up(OTHER)
    assert layout.policy_key.read_bytes() == before


def test_a_policy_from_before_policies_were_signed_is_signed_as_it_is(
    up: Up, layout: Layout
) -> None:
    up()
    signed = layout.policy.read_bytes()
    layout.policy.write_bytes(signed_policy.unsigned(signed))
    for file in (layout.policy_key, layout.own_policy_key, layout.policy_version):
        file.unlink()
    found = up()
    assert found
    assert found.policy.version == 1
    again = signed_policy.load(layout.policy)
    assert again
    public = policy_signing.load_public(layout.policy_key)
    assert policy_signing.check(again, public) == found.policy


def test_a_lost_policy_key_is_not_replaced(up: Up, layout: Layout) -> None:
    up()
    kept = layout.own_policy_key.rename(layout.root / "kept")
    with pytest.raises(SealError, match=layout.own_policy_key.name):
        up(OTHER)
    kept.rename(layout.own_policy_key)
    assert up(OTHER)


def test_versions_go_on_after_the_policy_was_deleted(up: Up, layout: Layout) -> None:
    up()
    up(OTHER)
    layout.policy.unlink()
    found = up(OTHER)
    assert found
    assert found.policy.version == 3


def test_a_signed_policy_is_installed_with_the_key_beside_it(
    up: Up, layout: Layout, installed: Path
) -> None:
    up()
    key = Ed25519PrivateKey.generate()
    unsigned = installed.read_bytes()
    installed.write_bytes(policy_signing.sign(unsigned, key).content)
    before = layout.policy.read_bytes(), layout.policy_key.read_bytes()
    beside = installed.with_name(KEY_FILE)
    for wrong in (None, policy_signing.public_pem(Ed25519PrivateKey.generate())):
        if wrong is not None:
            beside.write_bytes(wrong)
        with pytest.raises(TrustError, match=KEY_FILE):
            up(file=installed)
        assert (layout.policy.read_bytes(), layout.policy_key.read_bytes()) == before
    beside.write_bytes(policy_signing.public_pem(key))
    up(file=installed)
    assert layout.policy.read_bytes() == installed.read_bytes()
    assert layout.policy_key.read_bytes() == beside.read_bytes()
    installed.write_bytes(unsigned)
    up(file=installed)
    assert not layout.policy_key.exists()


def test_a_policy_is_installed_and_not_replaced_by_one_of_our_own(
    up: Up, layout: Layout, told: list[str], installed: Path
) -> None:
    up()
    found = up(ONE, file=installed)
    assert found
    assert found.policy == policy.load(installed)
    assert layout.policy.read_text() == installed.read_text()
    assert told == []
    assert not layout.measured.exists()
    installed.unlink()
    again = up(ONE)
    assert again == found
    assert told == []
    layout.policy.unlink()
    assert _measurements(up(ONE)) == [(ONE,)]
    assert layout.measured.exists()


def test_our_own_policy_that_is_passed_as_a_file_is_installed_for_good(
    up: Up, layout: Layout, told: list[str], installed: Path
) -> None:
    up()
    installed.write_bytes(layout.policy.read_bytes())
    assert kept_policy.is_own(installed.read_text())
    up(file=installed)
    found = up(OTHER)
    assert _measurements(found) == [(ONE,)]
    assert told == []


def test_a_worthless_policy_is_refused_with_what_is_wrong_and_the_old_one_stays(
    up: Up, layout: Layout, installed: Path
) -> None:
    up()
    before = layout.policy.read_bytes()
    installed.write_text(INTEL.replace("= 600", "= 1000000"))
    with pytest.raises(TrustError) as raised:
        up(kind=Attestation.GRAMINE_DCAP, file=installed)
    assert str(installed) in str(raised.value)
    assert "maximum_evidence_age_seconds" in str(raised.value)
    assert raised.value.exit_status == 1
    installed.write_text("version = 0")
    with pytest.raises(PolicyError, match=str(installed)):
        up(file=installed)
    assert layout.policy.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "text"),
    [(Attestation.SOFT_DCAP, INTEL), (Attestation.GRAMINE_DCAP, program().policy(1))],
)
def test_a_policy_that_could_never_admit_this_evidence_is_refused(
    kind: Attestation, text: str, up: Up, layout: Layout, installed: Path
) -> None:
    installed.write_text(text)
    with pytest.raises(TrustError, match="no server could ever be admitted"):
        up(kind=kind, file=installed)
    assert not layout.policy.exists()


def test_a_policy_of_another_simulated_platform_is_refused(up: Up, installed: Path) -> None:
    up()
    SoftPlatform.create().save(installed.parent)
    with pytest.raises(TrustError, match=ROOT_FILE):
        up(file=installed)


def test_a_policy_that_enroll_handed_out_can_be_installed(
    up: Up, layout: Layout, installed: Path
) -> None:
    up()
    installed.with_name(ROOT_FILE).write_bytes(layout.simulated_root.read_bytes())
    assert up(file=installed)


def test_evidence_of_a_processor_needs_a_policy_for_it(
    up: Up, layout: Layout, told: list[str], installed: Path
) -> None:
    with pytest.raises(TrustError, match="needs a --policy"):
        up(kind=Attestation.GRAMINE_DCAP)
    installed.write_text(INTEL)
    found = up(kind=Attestation.GRAMINE_DCAP, file=installed)
    assert found
    assert found.policy.root is Root.INTEL
    assert not (layout.trust / KEYS_FILE).exists()
    assert up(kind=Attestation.GRAMINE_DCAP) == found
    with pytest.raises(TrustError, match="no server could ever be admitted"):
        up(kind=Attestation.SOFT_DCAP)
    assert told == []


def test_where_wrappers_do_not_decide_nothing_is_made(
    up: Up, layout: Layout, told: list[str]
) -> None:
    for kind in (Attestation.OFF, Attestation.SCONE_CAS):
        assert up(kind=kind) is None
    assert told == []
    assert [each.name for each in layout.trust.iterdir()] == ["freshness"]


def test_the_simulated_platforms_keys_are_sealed_and_stay_the_same(up: Up, layout: Layout) -> None:
    up()
    keys = layout.trust / KEYS_FILE
    assert b"PRIVATE KEY" not in keys.read_bytes()
    root = SoftPlatform.load(layout.trust, Authorities(layout).seal).root_pem
    assert root == layout.simulated_root.read_bytes()
    up()
    assert layout.simulated_root.read_bytes() == root


def test_lost_keys_of_the_simulated_platform_are_not_replaced(up: Up, layout: Layout) -> None:
    up()
    root = layout.simulated_root.read_bytes()
    kept = (layout.trust / KEYS_FILE).rename(layout.root / "kept")
    with pytest.raises(SealError, match=KEYS_FILE):
        up()
    assert layout.simulated_root.read_bytes() == root
    kept.rename(layout.trust / KEYS_FILE)
    layout.seal_key.write_text("ab" * 32)
    with pytest.raises(SealError, match=r"cannot be opened with the seal key .*STANDBY_SEAL_KEY"):
        up()


def test_the_banner_says_what_proves_what_and_that_it_is_simulated(up: Up, installed: Path) -> None:
    found = up()
    assert found
    digest = policy.digest(found.policy)[:16]
    assert (
        trusted.described(Attestation.SOFT_DCAP, found)
        == f"attestation: SIMULATED (soft-dcap), policy version 1 ({digest}…)"
    )
    installed.write_text(INTEL)
    real = up(kind=Attestation.GRAMINE_DCAP, file=installed)
    assert trusted.described(Attestation.GRAMINE_DCAP, real).startswith(
        "attestation: gramine-dcap, policy version 7 ("
    )
    assert "off" in trusted.described(Attestation.OFF, None)
    assert "CAS" in trusted.described(Attestation.SCONE_CAS, None)


def test_what_is_measured_is_what_a_wrapper_will_measure(layout: Layout, tmp_path: Path) -> None:
    found = measured(Attestation.SOFT_DCAP, layout, PLAIN)
    wrapper = environs.servers(Attestation.SOFT_DCAP, Layout(tmp_path / "moved"))
    meter = LaunchMeter(
        parts.smartgrid_app(), LauncherKind.FORK, wrapper, bytecode_dir=tmp_path / "bytecode"
    )
    assert meter.prepare() == found.measured.measurement
    layout.policy.write_text(found.policy(3))
    made = policy.load(layout.policy)
    assert (made.version, _measurements_of(made)) == (3, [(found.measured.measurement,)])
