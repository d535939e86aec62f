"""Which launcher a wrapper has where nobody has chosen one."""

import pytest

from app_wrapper.application import Application
from app_wrapper.launchers.kind import kind_of
from app_wrapper.settings import Attestation, LauncherKind

WITH = Application(name="a", command=["{python}"], template=["{python}"])
WITHOUT = Application(name="a", command=["{python}"])
FORK, SPAWN = LauncherKind.FORK, LauncherKind.SPAWN


@pytest.mark.parametrize(
    ("attestation", "app", "expected"),
    [
        (Attestation.OFF, WITH, FORK),
        (Attestation.SOFT_DCAP, WITH, FORK),
        (Attestation.OFF, WITHOUT, SPAWN),
        (Attestation.SOFT_DCAP, WITHOUT, SPAWN),
        (Attestation.GRAMINE_DCAP, WITH, SPAWN),
        (Attestation.SCONE_CAS, WITH, SPAWN),
    ],
)
def test_servers_are_forked_where_the_program_and_the_platform_allow_it(
    attestation: Attestation, app: Application, expected: LauncherKind
) -> None:
    assert kind_of(None, attestation, app) is expected


@pytest.mark.parametrize("attestation", Attestation)
@pytest.mark.parametrize("chosen", LauncherKind)
def test_what_was_chosen_is_taken(chosen: LauncherKind, attestation: Attestation) -> None:
    assert kind_of(chosen, attestation, WITHOUT) is chosen
