"""Writes the generated pages of `docs/reference/`, or with `--check` fails when one of them is stale.

Run it as `python -m tools.reference` from the project's root (`make docs`).
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

import app_wrapper.app
import app_wrapper.settings
import lb_lua.settings
import routing_manager.app
import routing_manager.settings
import smartgrid_server.app
import smartgrid_server.settings
import standby_cli.settings
from standby import deadlines, settings, states
from standby.hardening import calls

FOLDER: Final = Path(__file__).parent.parent / "docs" / "reference"
_NOTE: Final = "<!-- Written by `make docs` from the code; do not edit. -->\n\n"


SETTINGS_INTRODUCTION: Final = """# Settings

Every part reads its settings from environment variables; an empty variable counts as absent. `--help` of
`python -m routing_manager`, `app_wrapper`, `lb_lua` and `smartgrid_server` prints the same. Every part also takes
`<PREFIX>_LOG_LEVEL` (DEBUG, INFO, WARNING, ERROR; default INFO).
"""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _settings_page() -> str:
    parts: list[tuple[str, type[Struct], str]] = [
        ("Routing Manager", routing_manager.settings.Settings, routing_manager.settings.PREFIX),
        ("App Wrapper", app_wrapper.settings.Settings, app_wrapper.settings.PREFIX),
        ("Load balancer", lb_lua.settings.Settings, lb_lua.settings.PREFIX),
        ("Supervisor (`standby up`)", standby_cli.settings.Settings, standby_cli.settings.PREFIX),
        ("Smart-grid server", smartgrid_server.settings.Settings, smartgrid_server.settings.PREFIX),
    ]
    lines = [SETTINGS_INTRODUCTION]
    for title, kind, prefix in parts:
        lines += [
            f"## {title}",
            "",
            _row("variable", "type", "default", "unit", "meaning"),
            _row(*["---"] * 5),
        ]
        lines += [
            _row(f"`{doc.variable}`", doc.kind, doc.default, doc.unit, doc.description)
            for doc in settings.describe(kind, prefix)
        ]
        lines.append("")
    return _NOTE + "\n".join(lines)


def _states_page() -> str:
    lines = [
        "# States of a server process",
        "",
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> STARTING",
    ]
    lines += [
        f"    {before} --> {after}: {event}"
        for (before, event), after in states.TRANSITIONS.items()
    ]
    reasons = ", ".join(f"`{reason}`" for reason in states.StopReason)
    lines += ["    STOPPED --> [*]", "```", "", "A fresh process takes the slot of a stopped one."]
    return _NOTE + "\n".join([*lines, f"What ended a process is one of: {reasons}.", ""])


def _deadlines_page() -> str:
    values = vars(deadlines)
    lines = [
        "# Deadlines",
        "",
        "Seconds, each measured by one process on its own monotonic clock.",
        "",
        _row("shorter", "longer", "because"),
        _row(*["---"] * 3),
    ]

    def valued(name: str) -> str:
        return f"{name} ({values[name]:g})"

    lines += [_row(valued(short), valued(long), why) for short, long, why in deadlines.CHAIN]
    lines += [
        _row(" + ".join(map(valued, names)), valued(long), why)
        for names, long, why in deadlines.SUMS
    ]
    return _NOTE + "\n".join([*lines, ""])


def _system_calls_page() -> str:
    lines = [
        "# System calls of a hardened server",
        "",
        "Every call of Linux up to 7.0, by class. A refused call fails with EPERM. One that is absent, or in no class",
        "(of a newer kernel), fails with ENOSYS. Where arguments decide: `standby/hardening/rules.py`.",
        "",
        _row("class", "answer", "because", "calls"),
        _row(*["---"] * 4),
    ]
    for each in calls.CLASSES:
        names = (call.partition(":")[0] for call in each.calls.split())
        listed = ", ".join(f"`{name}`" for name in names)
        lines.append(_row(each.title, each.verdict.value, each.why, listed))
    return _NOTE + "\n".join([*lines, ""])


def _openapi(document: dict[str, object]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "settings.md": _settings_page,
    "states.md": _states_page,
    "deadlines.md": _deadlines_page,
    "system-calls.md": _system_calls_page,
    "routing-manager.openapi.json": lambda: _openapi(routing_manager.app.openapi()),
    "app-wrapper.openapi.json": lambda: _openapi(app_wrapper.app.openapi()),
    "smartgrid-server.openapi.json": lambda: _openapi(smartgrid_server.app.openapi()),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail when a page is stale"
    )
    check: bool = parser.parse_args().check
    stale = []
    for name, make in PAGES.items():
        file = FOLDER / name
        text = make()
        if check and (not file.exists() or file.read_text() != text):
            stale.append(name)
        elif not check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    if stale:
        print(f"stale in docs/reference: {', '.join(stale)}; run `make docs`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
