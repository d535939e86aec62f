"""Collateral from a PCCS (Intel's service has the same API), asked for by a process of its own.

`python -m attestation.pccs URL` reads a quote from its standard input and writes the collateral for that quote's
platform to its standard output; `fetch` starts it. The reason is the library. It asks with threads and sockets that
stay until the process ends, which a process that forks servers must not have; and of 100 processes that asked with
version 0.7.0 and then ended, 21 ended with a segmentation fault. The child therefore leaves without Python's own end.

Tried with a small server that answers as Intel's documentation says, under a simulated platform's root; not tried with
a PCCS or with Intel's service.
"""

import asyncio
import os
import sys

from attestation import dcap
from attestation.collateral import Collateral
from attestation.errors import CollateralUnavailableError


async def fetch(url: str, quote: bytes, wait: float) -> Collateral:
    """The collateral for the platform that made `quote`.

    Args:
        url: where the service is, such as `https://pccs.internal:8081`
        quote: a quote of that platform
        wait: seconds, from the start of the child to its answer

    Raises:
        CollateralUnavailableError: no answer in time, or not the expected one.
        CollateralError: the answer is not collateral.
    """
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, url, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(wait):
            answer, reason = await child.communicate(quote)
    except TimeoutError as error:
        raise _unavailable(url, f"no answer within {wait} s") from error
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise _unavailable(url, reason.decode(errors="replace").strip())
    return Collateral.from_json(answer)


def _unavailable(url: str, reason: str) -> CollateralUnavailableError:
    return CollateralUnavailableError(
        f"{url} gives no collateral ({reason}): is it a PCCS, and does it know this platform?"
    )


def main() -> None:
    """Ask, answer, and leave at once."""
    status = 0
    try:
        print(asyncio.run(dcap.fetch(sys.argv[1], sys.stdin.buffer.read())), flush=True)
    except ValueError as error:
        print(error, file=sys.stderr, flush=True)
        status = 1
    os._exit(status)


if __name__ == "__main__":
    main()
