"""A server that its user has taken over prints, asks and computes without end: that costs nobody but this user.

All that a server can say goes to its wrapper: lines and events on its outputs, requests over its channel. Anna works at
the same wrapper meanwhile. The log stays within what is one server's.
"""

import base64
import json
from pathlib import Path
from typing import Final

import pytest

from app_wrapper.attesting.logins import MOST_PROOFS
from standby.messages import InstanceView
from tests.attacks.test_logins_of_others import usurped
from tests.attacks.usurper.usurper import MALLORY, STEPS
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client
from tests.support.waiting import eventually
from tests.support.wrapper_process import WrapperProcess, started

_BUDGET: Final = 2 * 2**20
"""Bytes of the whole log: the characters that one server may log in its life (256 Ki), of which each may become five,
and the other fields of its thousand records. Its wrapper has read eight million bytes of it before it waits."""
_FLOODED: Final = 4096
"""Lines that were not logged; there is no doubt that it floods."""
_SESSIONS: Final = 5


async def test_a_server_that_floods_all_that_it_has_costs_nobody_but_its_user(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with started(usurped(tmp_path, certificates, monkeypatch)) as wrapper:
        (server, _) = await wrapper.ready(2)
        async with Client(certificates, server, MALLORY) as mallory:
            assert (await mallory.login()).status == 200
            await _floods(mallory)
            await eventually(lambda: _dropped(wrapper, server) >= _FLOODED, "it floods")
            for _ in range(_SESSIONS):
                await _anna_works(wrapper, certificates)
            await eventually(
                lambda: len(_refused(wrapper, server)) == MOST_PROOFS, "its proofs are refused"
            )
            assert wrapper.log_file.stat().st_size <= _BUDGET
            assert server.boot_id in {each.boot_id for each in await wrapper.servers()}
            for _ in range(_SESSIONS):
                await _anna_works(wrapper, certificates)
            assert len(_refused(wrapper, server)) == MOST_PROOFS  # beside the one that held
            assert wrapper.log_file.stat().st_size <= _BUDGET


async def _floods(mallory: Client) -> None:
    body = {"challenge": base64.b64encode(bytes(32)).decode()}
    reply = await mallory.post("attest", body, **{STEPS: json.dumps([["flood"]])})
    assert (reply.status, reply.body["did"]) == (200, ["flooding"])


async def _anna_works(wrapper: WrapperProcess, certificates: Certificates) -> None:
    """A whole session at a server that waits for a user."""
    (server, *_) = await wrapper.ready()
    async with Client(certificates, server, "anna") as anna:
        assert (await anna.login()).status == 200
        written = await anna.post("write", {"alarms": [{"metric": "power", "threshold": 9.5}]})
        assert written.status == 200
        assert (await anna.logout()).status == 200


def _dropped(wrapper: WrapperProcess, server: InstanceView) -> int:
    """How many lines were not logged, by the wrapper's last word."""
    said = [
        each["lines"]
        for each in wrapper.log("server_output_dropped")
        if each["boot_id"] == server.boot_id
    ]
    return max(said, default=0)


def _refused(wrapper: WrapperProcess, server: InstanceView) -> list[dict[str, object]]:
    return [
        each for each in wrapper.log("login_proof_refused") if each["boot_id"] == server.boot_id
    ]
