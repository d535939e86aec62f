"""What the platform's wrappers will start: measured before they do, and the policy that admits it and nothing else."""

import re
from typing import Final

from msgspec import Struct

from app_wrapper import application
from app_wrapper.measuring import LaunchMeter
from app_wrapper.measuring.store import Store
from app_wrapper.settings import Attestation
from attestation import rollover
from attestation.policy import Policy
from attestation.policy_text import write
from standby.seal import Seal
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


def measured(kind: Attestation, layout: Layout, seal: Seal) -> Program:
    """The program with the launcher and the environment that wrappers will have; takes three seconds the first time.

    Raises:
        MeasureError: it cannot be measured.
        SettingsError: the environment names a launcher that there is none of.
    """
    file = smartgrid_app()
    app = application.load(file)
    how = environs.launcher(kind, app)
    store = Store(layout.measurement, seal)
    meter = LaunchMeter(file, how, environs.servers(kind, layout), store.bytecode, store)
    measurement = meter.prepare()
    return Program(app.name, Measured(measurement, how, meter.manifest))
