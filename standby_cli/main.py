"""The `standby` command.

Exit status: 0 done; 2 the command line is wrong; 130 interrupted; the rest as in `standby_cli.errors`.
What was asked for goes to stdout, progress and errors go to stderr.
"""

import sys
from typing import Final

try:
    import click

    from standby_cli import commands
    from standby_cli.lazy import LazyGroup, Place
except KeyboardInterrupt:  # while the first part of the program is still being read: no traceback
    sys.exit(130)

_CHANGES: Final = "standby_cli.running_commands"
_PLACES: Final = {
    "audit": Place(
        "standby_cli.audit",
        "audit_commands",
        "Look at the logs of verdicts: which server was admitted, and when.",
    ),
    "demo": Place(
        "standby_cli.demo.command",
        "demo_command",
        "Run the whole platform on six days of real meter readings.",
    ),
    "down": Place("standby_cli.down_command", "down_command", "End the platform."),
    "drain": Place(_CHANGES, "drain_command", "Let a wrapper take no new users, and leave."),
    "enroll": Place(
        "standby_cli.enroll_command",
        "enroll_command",
        "Make users' encrypted databases, certificates and keys.",
    ),
    "measure": Place(
        "standby_cli.measure",
        "measure_command",
        "Measure the launch of servers here, and print a policy for it.",
    ),
    "policy": Place(
        "standby_cli.policy",
        "policy_commands",
        "Look at policies: files that say which servers may have secrets.",
    ),
    "restart": Place(
        _CHANGES,
        "restart_command",
        "Start a part anew: routing-manager, haproxy, w1, or all in turn.",
    ),
    "status": Place(
        "standby_cli.status_command",
        "status_command",
        "Show every server process, its state and its user.",
    ),
    "undrain": Place(
        _CHANGES, "undrain_command", "Bring back a wrapper that has left after `standby drain`."
    ),
    "up": Place(
        "standby_cli.up_command",
        "up_command",
        "Start Routing Manager, wrappers and load balancer on this machine.",
    ),
    "url": Place("standby_cli.url_command", "url_command", "Print where clients connect."),
    "volumes": Place(
        "standby_cli.volumes",
        "volumes_commands",
        "Look at users' volumes and their copies, and restore a copy.",
    ),
    "wrappers": Place(
        _CHANGES, "wrappers_commands", "Run more wrappers, or fewer, while the platform runs."
    ),
}


@click.group(
    cls=LazyGroup, places=_PLACES, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="standby-servers")
def cli() -> None:
    """Run and watch standby servers: a pool of processes that wait for users without any state."""


def main() -> None:
    """The console script."""
    commands.run(cli, "standby")
