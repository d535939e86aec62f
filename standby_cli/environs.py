"""What wrappers have in their environment for attestation, and for their servers.

Paths only, never a key. Kept apart from the rest of a wrapper's environment because part of it is measured: what is
measured before the start must be what the wrappers give to their servers.
"""

import os
from typing import Final

from app_wrapper.application import Application
from app_wrapper.launchers.kind import kind_of
from app_wrapper.settings import PREFIX, Attestation, LauncherKind
from standby.settings import SettingsError
from standby_cli.authorities import Authorities
from standby_cli.layout import Layout

_ISSUER: Final = ("SMARTGRID_ISSUER_CERTIFICATE", "SMARTGRID_ISSUER_KEY")


def servers(kind: Attestation, layout: Layout) -> dict[str, str]:
    """The environment of wrappers as far as it matters to their servers, and to their servers' measurement.

    Servers ask for their certificates over their channels. Only with SCONE are they given an authority's files, by CAS.
    """
    environ = dict(os.environ)
    if kind is not Attestation.SCONE_CAS:
        for variable in _ISSUER:
            environ.pop(variable, None)
    return environ | {
        "SMARTGRID_CLIENT_AUTHORITIES": str(Authorities(layout).users_root),
        "SMARTGRID_VOLUMES_DIR": str(layout.volumes.absolute()),
    }


def launcher(kind: Attestation, app: Application) -> LauncherKind:
    """How wrappers start servers, by the operator's environment.

    Raises:
        SettingsError: there is no such launcher.
    """
    variable = f"{PREFIX}_LAUNCHER"
    text = os.environ.get(variable)
    try:
        chosen = LauncherKind(text) if text else None
    except ValueError as error:
        known = ", ".join(LauncherKind)
        raise SettingsError(f"{variable}={text}: expected one of {known}") from error
    return kind_of(chosen, kind, app)


def attestation(
    kind: Attestation, layout: Layout, authorities: Authorities, wrapper_id: str
) -> dict[str, str]:
    """Paths only. What the operator set is emptied where it has no meaning, or would be another platform's."""
    channel = kind is not Attestation.SCONE_CAS
    judged = kind in {Attestation.SOFT_DCAP, Attestation.GRAMINE_DCAP}
    certificate, key = authorities.issuer(wrapper_id)
    files = {
        "POLICY": layout.policy if judged else None,
        "ISSUER_CERTIFICATE": certificate if channel else None,
        "ISSUER_KEY": key if channel else None,
        "SEAL_KEY": layout.seal_key if channel else None,
        "PLATFORM_DIR": layout.trust if kind is Attestation.SOFT_DCAP else None,
        "MEASUREMENT_DIR": layout.measurement if kind is Attestation.SOFT_DCAP else None,
        "AUDIT_DIR": layout.audit_of(wrapper_id) if judged else None,
        "FRESHNESS_DIR": layout.freshness if channel else None,
        "USER_AUTHORITIES": authorities.users_root if channel else None,
    }
    environ = {f"{PREFIX}_{name}": str(file or "") for name, file in files.items()}
    return environ | {f"{PREFIX}_ATTESTATION": kind.value}
