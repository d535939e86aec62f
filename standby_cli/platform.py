"""A platform that is being started or runs: its processes, its ports, and whether all of them are ready."""

import asyncio
import contextlib
import os
from collections.abc import Coroutine, Sequence
from typing import Any, Final

from standby import deadlines, settings
from standby.messages import WrapperState
from standby_cli import dedicated, endpoints, part_record, refusal
from standby_cli.control import CallError, Control, until_ready
from standby_cli.endpoints import Address, Endpoints, Pids, Urls, WrapperUrls
from standby_cli.errors import CommandError, StartError
from standby_cli.part_names import HAPROXY, ROUTING_MANAGER
from standby_cli.parts import Plan
from standby_cli.ports import port_of, url_of
from standby_cli.progress import Tell
from standby_cli.refusal import Refusals
from standby_cli.settings import PREFIX, Settings
from standby_cli.supervisor import Supervisor

_LOOK_AGAIN: Final = 0.2
"""Seconds between two looks at what wrappers say of servers that do not start."""


class Platform:
    """One platform in one state directory; its supervisor's tasks run from `start` to `stop`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.supervisor = Supervisor(
            plan.parts(), plan.layout, settings.load(Settings, PREFIX, os.environ)
        )
        self._options = plan.options
        self._ports = plan.ports
        self._layout = plan.layout

    def start(self) -> None:
        self.supervisor.start()

    async def stop(self) -> None:
        await self.supervisor.stop()
        self._layout.endpoints.unlink(missing_ok=True)
        self._layout.part_records.unlink(missing_ok=True)
        for each in self._layout.lb.glob("*.sock"):  # HAProxy leaves them
            each.unlink()

    async def until_ready(self, calls: Control, tell: Tell) -> None:
        """Return when every part is ready.

        Raises:
            StartError: a part cannot run, or was not ready in time.
            NoServerAdmittedError: no server proved to be what the policy admits.
        """
        await self._reached(self._all_ready(calls, tell), list(self._ports.wrappers), calls)
        self.supervisor.persist()

    async def until_part_ready(self, name: str, calls: Control) -> None:
        """Return when this part is ready, as part of a platform that runs.

        Raises:
            StartError: it cannot run, or was not ready in time.
            NoServerAdmittedError: it is a wrapper, and none of its servers proved to be what the policy admits.
        """
        wrappers = [name] if name in self._ports.wrappers else []
        await self._reached(self._part_ready(name, calls), wrappers, calls)

    async def _reached(
        self, work: Coroutine[Any, Any, None], wrappers: Sequence[str], calls: Control
    ) -> None:
        """Do the work, unless it is hopeless: a part cannot run, or no server of these wrappers is admitted."""
        ready = asyncio.create_task(work)
        hopeless = [asyncio.create_task(self.supervisor.gave_up())]
        if wrappers:
            hopeless.append(asyncio.create_task(self._refused(wrappers, calls)))
        tasks = (*hopeless, ready)
        try:
            done, _ = await asyncio.wait(
                tasks, timeout=deadlines.PLATFORM_START, return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise StartError(self._what_is_missing())
            for task in tasks:
                if task in done:
                    await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def publish(self) -> None:
        """Write `endpoints.json` and `parts.json` as things are now."""
        self.supervisor.changed.clear()
        part_record.write(self._layout.part_records, self.supervisor.records())
        endpoints.write(self._layout.endpoints, self._describe())

    async def keep_published(self, calls: Control) -> None:
        """Keep `endpoints.json` and `parts.json` true whenever a part has a new process, or none, for ever.

        A restarted wrapper of the approach `trivial` has forgotten its users; they get their servers again.
        """
        while True:
            await self.supervisor.changed.wait()
            self.publish()
            if self._ports.manager is None:
                with contextlib.suppress(CommandError):  # tried again at the next change
                    await self.until_ready(calls, _silent)

    async def _all_ready(self, calls: Control, tell: Tell) -> None:
        if self._ports.manager is not None:
            await self._part_ready(ROUTING_MANAGER, calls)
            tell("routing manager ready")
        for number, wrapper_id in enumerate(self._ports.wrappers, 1):
            await self._part_ready(wrapper_id, calls)
            tell(f"wrapper {wrapper_id} ready ({number} of {self._options.wrappers})")
        await self._part_ready(HAPROXY, calls)
        tell("load balancer ready")
        if self._ports.manager is None:
            tell(f"{await self.serve_dedicated(calls)} users have their servers")

    async def serve_dedicated(self, calls: Control) -> int:
        """With the approach `trivial`: give every user a server; returns how many there are."""
        return await dedicated.serve_all(self._layout, self._wrappers(), calls)

    async def _part_ready(self, name: str, calls: Control) -> None:
        if name == HAPROXY:
            await _answers(self._options.host, port_of(self._ports.balancer))
            return
        manager = self._ports.manager
        pair = manager if name == ROUTING_MANAGER and manager else self._ports.wrappers[name]
        await until_ready(calls, url_of("http", pair[0]) + "/readyz")

    async def _refused(self, wrappers: Sequence[str], calls: Control) -> None:
        """Waits until it is clear that no server will come up, and raises why (NoServerAdmittedError, StartError)."""
        refusals, now = Refusals(), asyncio.get_running_loop().time
        while True:
            with contextlib.suppress(CallError):  # a wrapper that does not answer yet says nothing
                states = [
                    await calls.get(f"{each.url}/v1/instances", WrapperState)
                    for each in self._wrappers()
                    if each.id in wrappers
                ]
                if why := refusals.hopeless(states, now()):
                    raise refusal.error(why, self._layout)
                if why := refusal.broken(states):
                    raise StartError(f"{why}; the wrappers' logs in {self._layout.logs} say more")
            await asyncio.sleep(_LOOK_AGAIN)

    def _what_is_missing(self) -> str:
        return (
            f"not ready within {deadlines.PLATFORM_START:.0f} s; the last lines of each part:\n"
            f"{self.supervisor.tails()}"
        )

    def _wrappers(self) -> list[WrapperUrls]:
        return [
            WrapperUrls(id=each, url=url_of("http", pair[0]), control_url=url_of("https", pair[1]))
            for each, pair in self._ports.wrappers.items()
        ]

    def _describe(self) -> Endpoints:
        manager = self._ports.manager
        pid = self.supervisor.pid
        return Endpoints(
            approach=self._options.approach,
            lb=Address(host=self._options.host, port=port_of(self._ports.balancer)),
            routing_manager=None
            if manager is None
            else Urls(url=url_of("http", manager[0]), control_url=url_of("https", manager[1])),
            wrappers=[each for each in self._wrappers() if pid(each.id)],
            pids=Pids(
                routing_manager=pid(ROUTING_MANAGER) if manager else None,
                haproxy=pid(HAPROXY),
                wrappers={each: pid(each) for each in self._ports.wrappers if pid(each)},
                supervisor=os.getpid(),
            ),
        )


async def _answers(host: str, port: int) -> None:
    """Return once somebody accepts connections there; the caller sets the deadline."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return


def _silent(_text: str) -> None:
    """Nobody waits for news of a repair."""
