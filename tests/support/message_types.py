"""Every type that the product reads from elsewhere, found in its sources: whatever is passed to `standby.decode`."""

import ast
import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

import app_wrapper.app
import routing_manager.app
import smartgrid_server.app
from app_wrapper.application import Application
from app_wrapper.launchers.simulated.parameters import Parameters
from app_wrapper.measuring.store import Record
from attestation.collateral import Collateral
from attestation.measure.interpreter import Interpreter
from attestation.policy import Policy
from attestation.scone.pool import Pool
from attestation.soft.platform import _Kept as KeptPlatform
from smartgrid_client import messages as answers
from smartgrid_server.messages import AveragesQuery, PageQuery
from standby.web import Endpoint
from standby_cli.measure import Measured

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = (
    "standby",
    "attestation",
    "app_wrapper",
    "routing_manager",
    "lb_lua",
    "smartgrid_server",
    "smartgrid_client",
    "standby_cli",
)
READERS: Final = {"json", "packet", "toml", "fields", "value"}
OWN: Final = frozenset({Interpreter, KeptPlatform, Measured, Record})
"""What the same account wrote for itself, or was told by a program that it started."""
OPERATORS: Final = frozenset({Application, Parameters, Policy, Pool})
"""Files that the operator writes: as long as they like, but a number that cannot work is refused."""


def tables() -> list[Endpoint]:
    """The endpoints of all services."""
    registry = CollectorRegistry()
    return [
        *routing_manager.app.endpoints(registry),
        *app_wrapper.app.endpoints(registry),
        *smartgrid_server.app.ENDPOINTS,
    ]


def _bodies() -> set[Any]:
    return {each.request for each in tables() if each.request is not None}


def _answers() -> set[Any]:
    return {each.response for each in tables() if each.response is not None}


def _clients() -> set[Any]:
    return {
        answers.AlarmDeleted,
        answers.AlarmsPage,
        answers.Averages,
        answers.ConflictsPage,
        answers.LoggedOut,
        answers.Login,
        answers.Shown,
        answers.Stored,
        answers.StoredAlarm,
    }


# where the type is a parameter of the function that reads: the types that are passed
PASSED: Final = {
    "standby/web.py": _bodies,
    "standby_cli/control.py": _answers,
    "smartgrid_client/connection.py": _clients,
    "smartgrid_server/parsing.py": lambda: {PageQuery, AveragesQuery},
    "attestation/collateral.py": lambda: {Collateral},
}


def read_types() -> set[Any]:
    """All of them."""
    found: set[Any] = set()
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            if file != ROOT / "standby" / "decode.py":
                found |= set(_of_file(file))
    return found | _bodies() | _answers() | _clients()


def _of_file(file: Path) -> Iterator[Any]:
    name = str(file.relative_to(ROOT))
    calls = [each for each in ast.walk(ast.parse(file.read_text("utf-8"))) if _reads(each)]
    if not calls:
        return
    module = importlib.import_module(name.removesuffix(".py").replace("/", "."))
    for call in calls:
        kind = ast.unparse(call.args[1])  # type: ignore[attr-defined]  # a call
        try:
            yield eval(kind, vars(module))  # noqa: S307  # the product's own source
        except NameError:
            passed: Callable[[], set[Any]] | None = PASSED.get(name)
            assert passed is not None, f"{name}: which types are read as {kind!r}?"
            yield from passed()


def _reads(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="decode"), attr=attribute)):
            return attribute in READERS
        case _:
            return False
