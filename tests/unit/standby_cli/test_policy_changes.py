"""`standby policy new-key`, `sign`, `admit` and `withdraw`, and what clients make of the results."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from attestation import policy, policy_signing, signed_policy, trust
from attestation.issuing.issuer import authority_name
from attestation.policy import Policy
from attestation.trust import Trust
from attestation.trust_files import KEY_FILE, POLICY_FILE, ROOT_FILE
from smartgrid_client.newer_policy import NewerPolicies
from standby_cli import kept_policy, policy_keys, program, trusted
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout
from standby_cli.main import cli
from tests.unit.standby_cli import states
from tests.unit.standby_cli.states import program as made

OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """A platform with its own policy, version 1, whose program has changed since."""
    found = Layout(tmp_path / "state")
    found.make()
    authorities = Authorities(found)
    authorities.make()
    trusted.make_platform(found, authorities.seal)
    key = policy_keys.own(found, authorities.seal)
    policy_keys.put(found, kept_policy.own(made(OLD).policy(1)), key)
    monkeypatch.setattr(program, "measured", lambda *_: made(NEW))
    return found


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """An operator's own policy, elsewhere, and its key."""
    directory = tmp_path / "mine"
    directory.mkdir()
    assert _policy("new-key", directory / "key").exit_code == 0
    file = directory / POLICY_FILE
    file.write_text("# reviewed by us\n" + made(OLD).policy(5))
    return file


def _policy(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["policy", *map(str, arguments)])


def _changed(layout: Layout, command: str, *arguments: str | Path) -> Result:
    return _policy(command, "--state-dir", layout.root, *arguments)


def _now(layout: Layout) -> Policy:
    return policy.load(layout.policy)


def _measurements(found: Policy) -> list[tuple[str, ...] | None]:
    return [variant.mrenclave for variant in found.variants]


def _enrolled(layout: Layout, directory: Path) -> tuple[Trust, NewerPolicies]:
    """A client with what `standby enroll` hands out now."""
    directory.mkdir()
    for name in (POLICY_FILE, KEY_FILE, ROOT_FILE):
        (directory / name).write_bytes((layout.trust / name).read_bytes())
    file = directory / POLICY_FILE
    return trust.load(file), NewerPolicies(file, lambda _: None)


def test_a_platforms_own_policy_rolls_over_and_its_clients_follow(
    layout: Layout, tmp_path: Path
) -> None:
    own, client = _enrolled(layout, tmp_path / "user")
    for command, version, admitted in (
        ("admit", 2, [(OLD,), (NEW,)]),
        ("withdraw", 3, [(NEW,)]),
    ):
        done = _changed(layout, command)
        assert done.exit_code == 0, done.output
        assert f"policy version {version}" in done.stderr
        assert (_now(layout).version, _measurements(_now(layout))) == (version, admitted)
        assert kept_policy.is_own_file(layout.policy)
        signed = signed_policy.load(layout.policy)
        assert signed is not None
        newer = client.take(own, signed)
        assert newer is not None
        assert newer == trust.load(layout.policy) == trust.load(tmp_path / "user" / POLICY_FILE)
        again = _changed(layout, command)
        assert (again.exit_code, "says so already" in again.stderr) == (0, True)
        assert _now(layout).version == version


def test_measurements_can_be_given(layout: Layout) -> None:
    other = "c" * 64
    assert _changed(layout, "admit", "--measurement", other).exit_code == 0
    assert _measurements(_now(layout)) == [(OLD,), (other,)]
    assert _changed(layout, "withdraw", "--measurement", other).exit_code == 0
    assert _measurements(_now(layout)) == [(other,)]
    assert _changed(layout, "admit", "--measurement", "C" * 64).exit_code == 2


def test_what_is_not_admitted_yet_is_not_left_alone_by_withdrawing_the_rest(layout: Layout) -> None:
    before = layout.policy.read_bytes()
    done = _changed(layout, "withdraw")
    assert done.exit_code == 1
    assert "admit it first" in str(done.exception)
    assert layout.policy.read_bytes() == before


def test_no_version_is_used_twice(layout: Layout) -> None:
    first = layout.policy.read_bytes()
    assert _changed(layout, "admit").exit_code == 0
    layout.policy.write_bytes(first)
    assert _changed(layout, "admit", "--measurement", "c" * 64).exit_code == 0
    assert _now(layout).version == 3


def test_wrappers_that_start_again_find_an_authority_for_the_policy_that_is_there(
    layout: Layout,
) -> None:
    authorities = Authorities(layout)
    for wrapper_id in ("w1", "w2"):
        authorities.renew_issuer(wrapper_id, trust.load(layout.policy))
    authorities.renew_issuer("w3", None)
    unattested = authorities.issuer("w3")[0].read_bytes()
    assert _changed(layout, "admit").exit_code == 0
    expected = authority_name(trust.load(layout.policy))
    for wrapper_id in ("w1", "w2"):
        assert states.issuer_names(authorities, wrapper_id) == [expected]
    assert authorities.issuer("w3")[0].read_bytes() == unattested


def test_an_installed_policy_is_rolled_over_with_its_key_and_by_nothing_else(
    layout: Layout, mine: Path, tmp_path: Path
) -> None:
    assert _policy("sign", mine, "--key", mine.with_name("key")).exit_code == 0
    trusted.put_installed(mine, layout)
    own, client = _enrolled(layout, tmp_path / "user")
    before = layout.policy.read_bytes()
    refused = _changed(layout, "admit")
    assert refused.exit_code == 1
    assert "pass --key" in str(refused.exception)
    assert _policy("new-key", tmp_path / "other").exit_code == 0
    other = _changed(layout, "admit", "--key", tmp_path / "other")
    assert "is not the key of" in str(other.exception)
    assert layout.policy.read_bytes() == before
    assert _changed(layout, "admit", "--key", mine.with_name("key")).exit_code == 0
    assert _measurements(_now(layout)) == [(OLD,), (NEW,)]
    assert kept_policy.is_installed(layout.policy)
    signed = signed_policy.load(layout.policy)
    assert signed is not None
    assert client.take(own, signed) == trust.load(layout.policy)


def test_an_installed_policy_that_is_not_signed_is_not_changed(layout: Layout, mine: Path) -> None:
    trusted.put_installed(mine, layout)
    assert not layout.policy_key.exists()
    for options in ((), ("--key", mine.with_name("key"))):
        assert _changed(layout, "admit", *options).exit_code == 1
    assert layout.policy.read_text() == mine.read_text()


def test_for_an_enclave_the_measurement_must_be_given(layout: Layout, mine: Path) -> None:
    text = mine.read_text().replace('"simulated"', '"intel"').replace("testing = true\n", "")
    mine.write_text(text)
    assert _policy("sign", mine, "--key", mine.with_name("key")).exit_code == 0
    trusted.put_installed(mine, layout)
    key = ("--key", mine.with_name("key"))
    assert "--measurement" in str(_changed(layout, "admit", *key).exception)
    assert _changed(layout, "admit", *key, "--measurement", NEW).exit_code == 0
    assert _measurements(_now(layout)) == [(OLD,), (NEW,)]


def test_a_file_is_signed_in_its_place_as_often_as_it_is_changed(mine: Path) -> None:
    key, text = mine.with_name("key"), mine.read_text()
    assert key.stat().st_mode & 0o777 == 0o600
    for version in (5, 6):
        mine.write_text(text.replace("version = 5", f"version = {version}"))
        for _ in range(2):
            assert _policy("sign", mine, "--key", key).exit_code == 0
        signed = signed_policy.load(mine)
        assert signed is not None
        public = policy_signing.load_public(mine.with_name(KEY_FILE))
        assert policy_signing.check(signed, public).version == version
        assert mine.read_text().count("# signature") == 1
        assert mine.read_text().startswith("# reviewed by us\n")


def test_nothing_is_signed_that_is_worthless_or_would_change_hands(
    mine: Path, tmp_path: Path
) -> None:
    assert _policy("new-key", tmp_path / "other").exit_code == 0
    refused = _policy("sign", mine, "--key", tmp_path / "other")
    assert "is another key's" in str(refused.exception)
    worthless = mine.read_text().replace("testing = true\n", "")
    mine.write_text(worthless)
    assert _policy("sign", mine, "--key", mine.with_name("key")).exit_code == 1
    assert mine.read_text() == worthless


def test_a_key_is_never_overwritten(mine: Path) -> None:
    before = mine.with_name("key").read_bytes(), mine.with_name(KEY_FILE).read_bytes()
    for name in ("key", "another"):
        assert _policy("new-key", mine.with_name(name)).exit_code == 1
    assert (mine.with_name("key").read_bytes(), mine.with_name(KEY_FILE).read_bytes()) == before
