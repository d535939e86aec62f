"""Changes to a running platform, one at a time: parts that are restarted, wrappers that leave, come back, are added.

A Routing Manager and an HAProxy are replaced by a new process before the old one goes (`Keeper.replace`). A wrapper
cannot be: two processes of one id would not know of each other's servers. So it drains and is started again, and
meanwhile the others take its users. With a single wrapper new users wait until it is back; one that is added before
spares them that. Rejected: starting a second one by itself and handing the users over, because they would be moved
twice, or the wrapper would have another name afterwards.

A wrapper that starts again, or for the first time, starts as with `standby up`: the platform's own policy follows the
program on disk, and its authority is renewed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from standby.approach import Approach
from standby_cli.control import Control
from standby_cli.errors import CommandError
from standby_cli.keeper import Keeper
from standby_cli.part_names import HAPROXY
from standby_cli.platform import Platform
from standby_cli.progress import Tell

MOST_WRAPPERS: Final = 100
Prepare = Callable[[str, Tell], Awaitable[None]]
"""Puts in order what a wrapper of this id needs before it starts."""


class ChangeError(CommandError):
    """The platform cannot be changed like that; nothing was changed."""


class Changes:
    """All changes that an operator can make to a running platform.

    Each takes a function that is told in words what the operator should know.
    """

    def __init__(self, platform: Platform, calls: Control, prepare: Prepare) -> None:
        self._platform = platform
        self._plan = platform.plan
        self._ports = platform.plan.ports
        self._supervisor = platform.supervisor
        self._calls = calls
        self._prepare = prepare
        self._one_at_a_time = asyncio.Lock()

    async def restart(self, name: str, tell: Tell) -> None:
        """Put a new process in the place of the part's present one; a wrapper that has left comes back.

        Raises:
            ChangeError: there is no such part.
            StartError: the new process does not run, or is not ready in time.
        """
        async with self._one_at_a_time:
            keeper = self._keeper(name, self._supervisor.names())
            if name in self._ports.wrappers:
                await self._start_again(name, keeper, tell)
            else:
                await keeper.replace(await asyncio.to_thread(self._plan.part, name))
                await self._platform.until_part_ready(name, self._calls)

    async def drain(self, wrapper_id: str, _tell: Tell) -> None:
        """Ask the wrapper to take no new users and to leave; returns at once.

        Raises:
            ChangeError: there is no such wrapper.
        """
        async with self._one_at_a_time:
            self._wrapper(wrapper_id).leave()

    async def undrain(self, wrapper_id: str, tell: Tell) -> None:
        """Bring a wrapper back that was asked to leave; nothing happens to one that was not.

        Raises:
            ChangeError: there is no such wrapper.
            StartError: it does not run, or is not ready in time.
        """
        async with self._one_at_a_time:
            keeper = self._wrapper(wrapper_id)
            if not keeper.wanted:
                await self._start_again(wrapper_id, keeper, tell)

    async def add_wrapper(self, tell: Tell) -> str:
        """Run one more wrapper, with a pool like those of the others; returns its id.

        Raises:
            ChangeError: there may be no more.
            StartError: it does not run, or is not ready in time; nothing of it is left then.
        """
        async with self._one_at_a_time:
            self._refuse_if_trivial()
            if len(self._ports.wrappers) >= MOST_WRAPPERS:
                raise ChangeError(f"a platform has {MOST_WRAPPERS} wrappers at most")
            wrapper_id = self._ports.add_wrapper()
            try:
                await self._prepare(wrapper_id, tell)
                self._supervisor.add(await asyncio.to_thread(self._plan.part, wrapper_id))
                await self._platform.until_part_ready(wrapper_id, self._calls)
            except BaseException:
                await self._forget(wrapper_id)
                raise
            self._supervisor.persist()
            self._tell_haproxy()
            return wrapper_id

    async def remove_wrapper(self, wrapper_id: str, _tell: Tell) -> None:
        """Let the wrapper drain, and know it no more once it has left.

        Raises:
            ChangeError: there is no such wrapper, or no other one that takes users.
        """
        async with self._one_at_a_time:
            self._refuse_if_trivial()
            keeper = self._wrapper(wrapper_id)
            others = [each for each in self._ports.wrappers if each != wrapper_id]
            if not any(self._supervisor.keeper(each).wanted for each in others):
                raise ChangeError(
                    f"{wrapper_id} is the only wrapper that takes users; add one first"
                )
            keeper.leave()
            await keeper.until_left()
            await self._forget(wrapper_id)
            self._tell_haproxy()

    async def _start_again(self, wrapper_id: str, keeper: Keeper, tell: Tell) -> None:
        keeper.leave()
        await keeper.until_left()
        try:
            await self._prepare(wrapper_id, tell)
            part = await asyncio.to_thread(self._plan.part, wrapper_id)
        except Exception:
            keeper.come_back(
                keeper.part
            )  # as it was: a change that fails must not cost the wrapper
            raise
        keeper.come_back(part)
        await self._platform.until_part_ready(wrapper_id, self._calls)
        if self._ports.manager is None:
            await self._platform.serve_dedicated(self._calls)

    async def _forget(self, wrapper_id: str) -> None:
        """Its ports and keys; what it kept on disk stays for the next wrapper of that id."""
        await self._supervisor.remove(wrapper_id)
        self._ports.remove_wrapper(wrapper_id)
        await asyncio.to_thread(self._plan.authorities.remove_wrapper, wrapper_id)

    def _tell_haproxy(self) -> None:
        """At its next start it asks the wrappers that there are then; the Routing Manager hears from them by itself."""
        self._supervisor.keeper(HAPROXY).part = self._plan.part(HAPROXY)

    def _wrapper(self, wrapper_id: str) -> Keeper:
        return self._keeper(wrapper_id, list(self._ports.wrappers))

    def _keeper(self, name: str, known: list[str]) -> Keeper:
        if name not in known:
            raise ChangeError(f"there is no {name!r} here, only {', '.join(known)}")
        return self._supervisor.keeper(name)

    def _refuse_if_trivial(self) -> None:
        if self._plan.options.approach is Approach.TRIVIAL:
            raise ChangeError(
                "with the approach trivial each user belongs to one of the wrappers;"
                " start the platform again with another number of --wrappers"
            )
