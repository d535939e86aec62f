"""`standby up`, from the command line to a supervisor in this process or in the background."""

import os
from pathlib import Path
from typing import Final

import click

from app_wrapper.settings import Attestation
from standby import settings
from standby.approach import Approach
from standby_cli import address, background, commands, endpoints
from standby_cli.commands import say
from standby_cli.layout import Layout
from standby_cli.options import Options
from standby_cli.progress import READY, failure, pipe_teller
from standby_cli.settings import PREFIX, Settings

DEFAULT_POOL: Final = 4


@click.command("up")
@commands.state_dir
@click.option(
    "--pool-size",
    type=click.IntRange(1, 10_000),
    default=DEFAULT_POOL,
    show_default=True,
    envvar="APP_WRAPPER_POOL_SIZE",
    help="Standby servers of each wrapper.",
)
@click.option(
    "--wrappers", type=click.IntRange(1, 100), default=1, show_default=True, help="App Wrappers."
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address on which the load balancer listens.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of the load balancer.  [default: that of the last time; at first the system chooses]",
)
@commands.approach
@click.option(
    "--attestation",
    type=click.Choice([each.value for each in Attestation]),
    default=Attestation.SOFT_DCAP.value,
    show_default=True,
    envvar="APP_WRAPPER_ATTESTATION",
    help="What proves what servers are. soft-dcap is SIMULATED: it protects nothing, and needs no SGX.",
)
@click.option(
    "--policy",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    default=None,
    envvar="APP_WRAPPER_POLICY",
    help="Install this policy: which servers are admitted, from now on."
    "  [default: the installed one; with soft-dcap else one that admits this program]",
)
@click.option(
    "--detach", is_flag=True, help="Return once everything is ready; end with `standby down`."
)
@click.option("--tell-fd", type=int, hidden=True)
def up_command(
    state_dir: Path,
    pool_size: int,
    wrappers: int,
    host: str,
    port: int,
    approach: str,
    attestation: str,
    policy: Path | None,
    tell_fd: int | None,
    *,
    detach: bool,
) -> None:
    """Start Routing Manager, wrappers and load balancer on this machine.

    Exit status: 0 it was ready and was asked to end; 130 or 143 a signal ended it before; 1 and more: it failed.
    """
    layout = Layout(state_dir.absolute())
    limits = settings.load(Settings, PREFIX, os.environ)
    kind = Attestation(attestation)
    if policy and kind is Attestation.OFF:
        raise click.UsageError("--policy has no meaning with --attestation off")
    options = Options(Approach(approach), pool_size, wrappers, host, port, kind, policy)
    if detach:
        process = background.start(_arguments(options, layout), layout, say)
        process.returncode = 0  # it goes on without us; tells Popen that nothing is left to reap
        say(f"ready: clients connect to {_url(layout)}")
        return
    from standby_cli import foreground  # noqa: PLC0415  # all that a supervisor needs, and only it

    if tell_fd is not None:
        foreground.log_to_file(layout, limits)
        foreground.supervise(options, layout, pipe_teller(tell_fd))
    else:
        foreground.supervise(options, layout, lambda text: _say_for_people(text, layout))


def _arguments(options: Options, layout: Layout) -> list[str]:
    """The same command line again, for a supervisor in the background."""
    arguments = ["--state-dir", str(layout.root), "--pool-size", str(options.pool_size)]
    arguments += ["--wrappers", str(options.wrappers)]
    arguments += ["--host", options.host, "--port", str(options.port)]
    arguments += ["--approach", options.approach.value]
    arguments += ["--attestation", options.attestation.value]
    return arguments + (["--policy", str(options.policy.absolute())] if options.policy else [])


def _say_for_people(text: str, layout: Layout) -> None:
    if failure(text) is None:  # the command's own error says it
        ready = text == READY
        say(f"ready: clients connect to {_url(layout)}; Ctrl-C ends it" if ready else text)


def _url(layout: Layout) -> str:
    return address.url_of(endpoints.read(layout.endpoints).lb)
