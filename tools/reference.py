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
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

import app_wrapper.app
import app_wrapper.metrics
import app_wrapper.settings
import lb_lua.settings
import routing_manager.app
import routing_manager.metrics
import routing_manager.settings
import smartgrid_server.app
import smartgrid_server.settings
import standby_cli.settings
from routing_manager.core import Core
from standby import deadlines, settings, states
from standby.hardening import calls
from tools import log_events

FOLDER: Final = Path(__file__).parent.parent / "docs" / "reference"
_NOTE: Final = "<!-- Written by `make docs` from the code; do not edit. -->\n\n"


SETTINGS_INTRODUCTION: Final = """# Settings

Every part reads its settings from environment variables; an empty variable counts as absent. `--help` of
`python -m routing_manager`, `app_wrapper`, `lb_lua` and `smartgrid_server` prints the same. Every part also takes
`<PREFIX>_LOG_LEVEL` (DEBUG, INFO, WARNING, ERROR; default INFO). Any other name with a part's prefix is an error.
Kubernetes makes such names of its own for a Service: set `enableServiceLinks: false`.
"""


LOGS_INTRODUCTION: Final = """# Logs

One JSON object a line, in `<state dir>/logs/<part>.log`: `time` (UTC, RFC 3339), `level`, `where` (the module),
`event`, `part`, in a wrapper's lines `wrapper_id`, then the event's own fields. `uid` is the user whom it happened to;
events about a server also have its `slot` and `boot_id`.

| level | meaning |
| --- | --- |
| ERROR | it cost a user something, or needs an operator |
| WARNING | a later try mends it, or less was given than was asked for |
| INFO | the usual course, and mistakes of strangers and users |

A server's own output is in its wrapper's log as `server_output`: a JSON record as fields under `said`, anything else as
`text`. The line has the level that the server gave it, but never more than WARNING: a server is believed only about
itself.

HAProxy writes one line for each connection when it ends (`event`: `connection`), and one (`connection_moved`) for each
time that its server process had ended and another way was tried. `via` says whether the connection went to `to`,
`refusal` why a user was refused, `away_s` for how long the Routing Manager has not answered. ERROR: the Routing Manager
is away. WARNING: the platform has no server for a user, or uses a route from memory.
"""

METRICS_INTRODUCTION: Final = """# Metrics

`GET /metrics` of each part, in Prometheus' text format. Every series exists from the start, and no label ever holds a
user.
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


def _logs_page() -> str:
    lines = [LOGS_INTRODUCTION, _row("part", "event", "level", "fields"), _row(*["---"] * 4)]
    lines += [
        _row(each.part, f"`{each.name}`", each.level, ", ".join(each.fields))
        for each in log_events.events()
    ]
    return _NOTE + "\n".join([*lines, ""])


def _metrics_page() -> str:
    wrapper, manager = CollectorRegistry(), CollectorRegistry()
    metrics = app_wrapper.metrics.Metrics(wrapper)
    metrics.watch(lambda _state: 0, lambda: False)
    metrics.watch_reports(lambda: 0.0)
    settings_ = routing_manager.settings.Settings()
    routing_manager.metrics.Metrics(manager).show(Core(settings_, 0.0, "x"))
    lines = [METRICS_INTRODUCTION]
    for title, registry in (("App Wrapper", wrapper), ("Routing Manager", manager)):
        lines += [f"## {title}", "", _row("name", "type", "labels", "meaning"), _row(*["---"] * 4)]
        lines += [_metric(family) for family in registry.collect()]
        lines.append("")
    return _NOTE + "\n".join(lines)


def _metric(family: Metric) -> str:
    values: dict[str, list[str]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le" and value not in values.setdefault(label, []):
                values[label].append(value)
    labels = "; ".join(f"`{label}`: {', '.join(each)}" for label, each in values.items())
    name = family.name + ("_total" if family.type == "counter" else "")
    return _row(f"`{name}`", family.type, labels, family.documentation)


def _openapi(document: dict[str, object]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "settings.md": _settings_page,
    "states.md": _states_page,
    "deadlines.md": _deadlines_page,
    "logs.md": _logs_page,
    "metrics.md": _metrics_page,
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
