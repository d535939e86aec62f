"""Which launcher a wrapper has, where nobody has chosen one."""

from app_wrapper.application import Application
from app_wrapper.settings import Attestation, LauncherKind

_NATIVE = frozenset({Attestation.OFF, Attestation.SOFT_DCAP})


def kind_of(
    chosen: LauncherKind | None, attestation: Attestation, app: Application
) -> LauncherKind:
    """The chosen one, else `fork` where servers are processes of this machine and `app.toml` names a template.

    An enclave cannot be forked, so a program that runs in one is started anew for each server.
    """
    if chosen is not None:
        return chosen
    forked = attestation in _NATIVE and app.template is not None
    return LauncherKind.FORK if forked else LauncherKind.SPAWN
