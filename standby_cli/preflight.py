"""What is looked at before anything starts, so that what cannot work is said at once, in one sentence.

In this order, because a later question makes no sense before an earlier one has its answer:

settings   (`standby_cli.surroundings`)
places     (`standby_cli.surroundings`)
ports      (`standby_cli.ports`)
parts      the settings of each part work together, and none that the operator made is without effect
programs   HAProxy is there; there are descriptors enough; servers could work with their settings (app.toml's `check`)

Not promised: that it stays so. What breaks while the platform starts is told by the part that it breaks.
"""

import resource
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from msgspec import Struct

import app_wrapper.settings
import lb_lua.__main__ as balancer
import lb_lua.settings
import routing_manager.settings
from app_wrapper import application, checking
from standby import settings
from standby.settings import SettingsError
from standby.text import printable
from standby_cli import environs, ports
from standby_cli.errors import ConfigurationError
from standby_cli.part_names import HAPROXY, ROUTING_MANAGER
from standby_cli.parts import Part, Plan

SettingsT = TypeVar("SettingsT", bound=Struct)
SERVERS: Final = "SMARTGRID"
"""Prefix of the variables that the application's servers get; whose names they are, only its own check knows."""
_INSTEAD: Final[Mapping[str, str]] = {
    "APP_WRAPPER_APPROACH": "--approach",
    "APP_WRAPPER_STATE_DIR": "--state-dir",
    "APP_WRAPPER_VOLUMES_DIR": "--state-dir",
    "LB_LUA_HOST": "--host",
    "LB_LUA_PORT": "--port",
    "LB_LUA_RUNTIME_DIR": "--state-dir",
    "LB_LUA_SESSION_LENGTH": "SMARTGRID_SESSION_LENGTH",
    "ROUTING_MANAGER_APPROACH": "--approach",
}
"""What has the effect of settings that the platform makes itself."""
_OPTIONS: Final = ("APP_WRAPPER_POOL_SIZE", "APP_WRAPPER_ATTESTATION", "APP_WRAPPER_POLICY")
"""Variables that options of `standby up` stand for; an option wins."""
_CHOSEN_BY_THE_SYSTEM: Final = tuple(
    f"{prefix}_{name}" for prefix in ("APP_WRAPPER", "ROUTING_MANAGER") for name in ports.NAMES
)
"""If they are 0."""


async def check_parts(plan: Plan, environ: Mapping[str, str]) -> None:
    """Look at what each part, and each server, would be given.

    Raises:
        ConfigurationError: a part cannot work with it, or a setting of the operator would have no effect.
        SettingsError: servers could not work with it; HAProxy is missing, or cannot have descriptors enough.
    """
    wrappers = [_loaded(plan, name, app_wrapper.settings.Settings) for name in plan.ports.wrappers]
    first = wrappers[0]
    servers = environs.servers(plan.options.attestation, plan.layout)
    await checking.refuse_unusable(first, application.load(first.app), servers)
    _check_ports(wrappers)
    if plan.ports.manager is not None:
        _loaded(plan, ROUTING_MANAGER, routing_manager.settings.Settings)
    _check_balancer(_loaded(plan, HAPROXY, lb_lua.settings.Settings))
    others = (name for name in plan.names() if name not in plan.ports.wrappers)
    for name in (first.id, *others):  # what is each wrapper's own differs, and is meant to
        _refuse_without_effect(plan.described(name), _prefix(name), environ)


def _loaded(plan: Plan, name: str, kind: type[SettingsT]) -> SettingsT:
    try:
        return settings.load(kind, _prefix(name), plan.described(name).environ)
    except SettingsError as error:
        raise ConfigurationError(f"{name} cannot work with its settings: {error}") from error


def _check_ports(wrappers: Sequence[app_wrapper.settings.Settings]) -> None:
    """All wrappers take their servers' ports from one range, if there is one."""
    first, last = wrappers[0].first_port, wrappers[0].last_port
    wanted = sum(each.pool_size for each in wrappers)
    if first and last and last - first + 1 < wanted:
        raise ConfigurationError(
            f"{wanted} servers need as many ports, and from APP_WRAPPER_FIRST_PORT to APP_WRAPPER_LAST_PORT there are"
            f" {last - first + 1}"
        )


def _check_balancer(loaded: lb_lua.settings.Settings) -> None:
    balancer.find_program(loaded.haproxy)
    balancer.check_open_files(loaded, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    if loaded.metrics_port:
        ports.refuse_taken("LB_LUA_METRICS_PORT", loaded.metrics_host, loaded.metrics_port)


def _prefix(name: str) -> str:
    others = {HAPROXY: lb_lua.settings.PREFIX, ROUTING_MANAGER: routing_manager.settings.PREFIX}
    return others.get(name, app_wrapper.settings.PREFIX)


def _refuse_without_effect(part: Part, prefix: str, environ: Mapping[str, str]) -> None:
    """Refuse what the operator has set and the part would not get."""
    for variable in sorted(environ):
        if not variable.startswith((f"{prefix}_", f"{SERVERS}_")) or variable in _OPTIONS:
            continue
        given, made = environ[variable], part.environ.get(variable, "")
        if given and given != made and not (given == "0" and variable in _CHOSEN_BY_THE_SYSTEM):
            instead = _INSTEAD.get(variable)
            raise ConfigurationError(
                f"{variable} has no effect, because `standby up` sets it itself"
                f"{f' to {printable(made, 200)}' if made else ''}; unset it{f' and use {instead}' if instead else ''}"
            )
