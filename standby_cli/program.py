"""What the platform's wrappers will start: measured before they do, and the policy that admits it and nothing else."""

import re
from typing import Final

from msgspec import Struct

from app_wrapper import application
from app_wrapper.measuring.launch import launch_of
from app_wrapper.settings import Attestation
from attestation import rollover
from attestation.measure.digests import DigestCache
from attestation.measure.launch import manifest_of
from attestation.measure.manifest import measure
from attestation.policy import Policy
from attestation.policy_text import write
from standby_cli import environs
from standby_cli.layout import Layout
from standby_cli.measure import Measured, policy_text, variant_name
from standby_cli.parts import smartgrid_app

_VERSION: Final = re.compile(r"^version = [0-9]+$", re.MULTILINE)


class Program(Struct, frozen=True):
    name: str
    measured: Measured

    def policy(self, version: int) -> str:
        """In TOML."""
        return _VERSION.sub(f"version = {version}", policy_text(self.name, self.measured), count=1)

    @property
    def variant(self) -> str:
        """The name of the variant that admits it."""
        return variant_name(self.name, self.measured)

    def admitted_besides(self, before: Policy) -> str:
        """The next version, in TOML, which admits it and what was admitted before."""
        return write(rollover.admit(before, [self.measured.measurement], self.variant))


def measured(kind: Attestation, layout: Layout) -> Program:
    """The program with the launcher and the environment that wrappers will have; takes about a second.

    Raises:
        MeasureError: it cannot be measured.
        SettingsError: the environment names a launcher that there is none of.
    """
    file, how = smartgrid_app(), environs.launcher()
    app = application.load(file)
    described = launch_of(app, file.parent, how, environs.servers(kind, layout))
    manifest = manifest_of(described.launch, DigestCache())
    return Program(app.name, Measured(measure(manifest), how, manifest))
