"""A command that is run to its end for what it says, within a deadline and never beyond its caller's life."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from standby.processes import dies_with_parent


async def run(
    command: Sequence[str],
    deadline: float,
    *,
    place: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """Exit status, and what it printed on stdout and on stderr.

    Args:
        command: and its arguments; it reads nothing
        deadline: seconds
        place: where it runs; None: here
        environ: None: the caller's

    Raises:
        OSError: it cannot be started.
        TimeoutError: it has not ended by the deadline; it is killed.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=place,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        preexec_fn=dies_with_parent(),
    )
    try:
        async with asyncio.timeout(deadline):
            out, err = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        status = await process.wait()
    return status, out.decode(errors="replace"), err.decode(errors="replace")
