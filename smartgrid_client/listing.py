"""All alarms, and all conflicts, page after page."""

from typing import Protocol, TypeVar

from smartgrid_client import requests
from smartgrid_client.messages import Conflict, StoredAlarm
from smartgrid_client.requests import Request

ReplyT = TypeVar("ReplyT")


class Ask(Protocol):
    """Sends a request and gives its reply, or raises a `ClientError`."""

    async def __call__(self, request: Request[ReplyT], /) -> ReplyT: ...


async def alarms(ask: Ask) -> list[StoredAlarm]:
    page = await ask(requests.alarms())
    found = list(page.alarms)
    while page.more and page.alarms:
        page = await ask(requests.alarms(after=found[-1].id))
        found += page.alarms
    return found


async def conflicts(ask: Ask) -> list[Conflict]:
    page = await ask(requests.conflicts())
    found = list(page.conflicts)
    while page.more and page.conflicts:
        page = await ask(requests.conflicts(after=found[-1].id))
        found += page.conflicts
    return found
