"""The events that the parts log, found in their sources: `log.<level>("event", field=…)`.

An event must be written as a text in the call, so that this finds it, and so that a reader who has a log line finds the
place in the code.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PARTS: Final = {
    "app_wrapper": "App Wrapper",
    "attestation": "App Wrapper",
    "lb_lua": "load balancer",
    "routing_manager": "Routing Manager",
    "smartgrid_server": "server",
    "standby": "every part",
    "standby_cli": "supervisor",
}
_LEVELS: Final = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR"}
_BY_OUTCOME: Final = "by outcome"


@dataclass(frozen=True, order=True)
class Event:
    part: str
    name: str
    level: str
    fields: tuple[str, ...]
    """Those that are named in the call."""


def events() -> list[Event]:
    """Every event once for each part and level."""
    found: dict[tuple[str, str, str], set[str]] = {}
    for package, part in PARTS.items():
        for file in sorted((ROOT / package).rglob("*.py")):
            for name, level, fields in _calls(ast.parse(file.read_text(encoding="utf-8"))):
                found.setdefault((part, name, level), set()).update(fields)
    return sorted(Event(*key, tuple(sorted(fields))) for key, fields in found.items())


def _calls(tree: ast.AST) -> Iterator[tuple[str, str, Sequence[str]]]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if not _is_log(node.func.value):
            continue
        level = _LEVELS.get(node.func.attr, _BY_OUTCOME if node.func.attr == "at" else None)
        if level is None:
            continue
        name = node.args[level == _BY_OUTCOME]
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            raise ValueError(f"line {node.lineno}: an event's name is not written out")  # noqa: TRY004  # of the source
        yield name.value, level, [each.arg for each in node.keywords if each.arg]


def _is_log(value: ast.expr) -> bool:
    made = isinstance(value, ast.Call) and ast.unparse(value.func).endswith("EventLog")
    return made or (isinstance(value, ast.Name) and value.id == "log")
