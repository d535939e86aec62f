"""A server that was taken over destroys its own user's data, and says to its wrapper that all is well: it is restored.

Twice in a row, in real sessions of real servers. Anna's meter has stored readings before; each batch that was
acknowledged is there again afterwards, and a batch that she sends once more is known.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from click.testing import CliRunner

from smartgrid_server import database
from smartgrid_server.database import Database
from standby.identity import Role
from standby_cli.main import cli
from tests.attacks.test_logins_of_others import Scene, scene
from tests.attacks.usurper.usurper import STEPS
from tests.support.certificates import Certificates
from tests.support.smartgrid import Client, kept, secret
from tests.support.waiting import eventually
from tests.support.wrapper import processes, ready

_SLOW: Final = 60.0
"""Seconds for what a machine under load does."""
_BATCHES: Final = {
    f"batch {number}": [[600 * number + second, 1.0, 2.0, 240.0] for second in range(600)]
    for number in range(3)
}


@dataclass(frozen=True)
class Anna:
    """Her meter, at servers that may be taken over, and the operator of their platform."""

    place: Scene

    async def session(self, *batches: str, destroy: str | None = None) -> list[dict[str, Any]]:
        """The answers to these batches; then the server destroys what it has."""
        server = await self.place.server()
        async with Client(self.place.certificates, server, "anna", Role.METER) as meter:
            login = await meter.login()
            assert login.status == 200, login.body
            answers = []
            for each in batches:
                stored = await meter.post("long-write", {"rows": _BATCHES[each]})
                assert stored.status == 200, stored.body
                answers.append(stored.body)
            if destroy is not None:
                await self._destroy(meter, destroy)
            if destroy in {None, "empty"}:
                assert (await meter.logout()).status == 200
        await self._given_back(login.body["generation"])
        return answers

    async def _destroy(self, meter: Client, how: str) -> None:
        body = {"challenge": base64.b64encode(bytes(32)).decode()}
        try:
            reply = await meter.post("attest", body, **{STEPS: json.dumps([["destroy", how]])})
        except aiohttp.ClientConnectionError:
            assert how != "empty"
        else:
            assert (reply.status, reply.body["did"]) == (200, ["empty"])

    async def _given_back(self, generation: int) -> None:
        """And copied, if it was to be."""
        directory = self.place.directory
        claim = directory / "volumes/anna/claim"
        due = directory / f"copies/anna/due-{generation}"
        await eventually(
            lambda: (
                all(each.uid != "anna" for each in processes(self.place.wrapper))
                and claim.read_text() == "\n"
                and not due.exists()
            ),
            f"generation {generation} is given back",
            deadline=_SLOW,
        )

    def volumes(self, *arguments: str) -> Any:
        """What an operator's command prints as data."""
        done = CliRunner().invoke(
            cli, ["volumes", *arguments, "--state-dir", str(self.place.directory), "--json"]
        )
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def stored(self) -> int | None:
        """How many of her readings there are; None: there is no database that her key opens."""
        file = self.place.directory / "volumes/anna/data" / database.FILE_NAME
        if not file.exists() or not file.stat().st_size or not database.opens_with(file, secret()):
            return None
        opened = Database.open(file, secret())
        try:
            (count,) = opened._connection.execute("SELECT count(*) FROM metrics").fetchone()
            return int(count)
        finally:
            opened.close()


@pytest.mark.parametrize("how", ["delete", "overwrite", "empty"])
async def test_every_acknowledged_batch_is_restored_after_two_sessions_that_destroy_it(
    tmp_path: Path, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    copies = tmp_path / "copies"
    async with scene(tmp_path, certificates, monkeypatch, copies_dir=copies) as place:
        anna = Anna(place)
        await anna.session("batch 0")
        await anna.session("batch 1", "batch 2")
        (good,) = [
            each for each in anna.volumes("show", "anna")["copies"] if each["generation"] == 2
        ]
        for _ in range(2):
            await anna.session(destroy=how)
            assert anna.stored() in {None, 0}
        restored = anna.volumes("restore", "anna", "--copy", str(good["number"]))
        assert restored["restored"] == good
        assert anna.stored() == sum(map(len, _BATCHES.values()))
        answers = await anna.session(*_BATCHES)
        assert answers == [kept(unchanged=len(rows)) for rows in _BATCHES.values()]
        await ready(place.wrapper, 2)  # no server is just being forked
