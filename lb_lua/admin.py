"""A client of HAProxy's admin socket: static map entries at run time, and whether HAProxy is up.

One command a connection, which HAProxy answers and closes. What is added here lives in HAProxy's memory only:
whoever adds an entry also writes it to the map file if it shall outlive HAProxy.
"""

import asyncio
from pathlib import Path

from standby import deadlines, unix_sockets
from standby.errors import UnavailableError, words
from standby.ids import Uid


class AdminError(UnavailableError):
    """HAProxy did not answer, or not as expected; the message quotes it."""

    code = "load_balancer_unavailable"


class Admin:
    """One HAProxy, by its admin socket (`Settings.admin_socket`)."""

    def __init__(self, path: Path, *, timeout: float = deadlines.CONTROL_REQUEST) -> None:
        self._path = path
        self._timeout = timeout

    async def put(self, static_map: Path, uid: Uid, address: str, port: int) -> None:
        """Send `uid` to `address:port` from now on.

        Raises:
            AdminError: HAProxy is away, or knows no such map.
        """
        known = uid in await self.entries(static_map)
        command = "set" if known else "add"
        place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        await self._order(f"{command} map {_word(static_map)} {uid} {place}")

    async def remove(self, static_map: Path, uid: Uid) -> None:
        """Refuse `uid` from now on; nothing happens if it is not in the map."""
        if uid in await self.entries(static_map):
            await self._order(f"del map {_word(static_map)} {uid}")

    async def entries(self, static_map: Path) -> dict[str, str]:
        """The map as HAProxy has it: uid -> `address:port`."""
        answer = await self.ask(f"show map {_word(static_map)}")
        lines = [line.split() for line in answer.splitlines() if line]
        if any(len(words) != 3 or not words[0].startswith("0x") for words in lines):  # noqa: PLR2004
            raise AdminError(f"HAProxy on {self._path} answered: {answer.strip()[:200]}")
        return {uid: place for _, uid, place in lines}

    async def info(self) -> dict[str, str]:
        """HAProxy's own account of itself (`show info`); that it answers means that it listens."""
        answer = await self.ask("show info")
        pairs = (line.partition(": ") for line in answer.splitlines())
        return {name: value for name, _, value in pairs if name}

    async def ask(self, command: str) -> str:
        """HAProxy's answer to one command.

        Raises:
            AdminError: no answer within the timeout.
        """
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(command)
        except (OSError, TimeoutError) as error:
            raise AdminError(
                f"no answer from HAProxy's admin socket {self._path}; is it running? ({words(error)})"
            ) from error

    async def _exchange(self, command: str) -> str:
        with unix_sockets.named(self._path) as place:
            reader, writer = await asyncio.open_unix_connection(place)
        try:
            writer.write(command.encode() + b"\n")
            return (await reader.read(-1)).decode()
        finally:
            writer.close()
            await writer.wait_closed()

    async def _order(self, command: str) -> None:
        answer = (await self.ask(command)).strip()
        if answer:
            raise AdminError(f"HAProxy on {self._path} answered: {answer[:200]}")


def _word(path: Path) -> str:
    """A path as one word of HAProxy's command line; HAProxy was given the whole path."""
    return "".join(f"\\{each}" if each in " \\;<" else each for each in str(path.absolute()))
