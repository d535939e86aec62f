"""One installation and two platforms for all attacks of a worker.

The platforms run as an account without rights, so that there can be programs of the same account.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.attacks import platforms
from tests.attacks.installation import Installation, installed
from tests.attacks.platforms import Platform


@pytest.fixture(scope="package")
def installation() -> Iterator[Installation]:
    with installed() as made:
        yield made


@pytest.fixture(scope="package")
def fork_policy(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Admits servers that are forked from the template as it is now, and nothing else."""
    measured = installation.run(
        "standby_cli", "measure", "--launcher", "fork", environ=platforms.COMMON
    )
    assert measured.returncode == 0, measured.stderr
    policy = tmp_path_factory.mktemp("forking") / "policy.toml"
    policy.write_text(measured.stdout)
    return policy


@pytest.fixture(scope="package")
def hardened(installation: Installation, fork_policy: Path) -> Iterator[Platform]:
    """As `standby up` makes it."""
    with platforms.running(
        installation, policy=fork_policy, account=platforms.operator()
    ) as platform:
        yield platform


@pytest.fixture(scope="package")
def unhardened(installation: Installation) -> Iterator[Platform]:
    """Neither attested nor hardened; and spawned, as what is forked from a template is closed as that is."""
    with platforms.running(
        installation,
        account=platforms.operator(),
        environ={"SMARTGRID_HARDENING": "off", "APP_WRAPPER_LAUNCHER": "spawn"},
    ) as platform:
        yield platform
