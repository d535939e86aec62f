"""The launcher that starts servers in SCONE enclaves: as `spawn`, with the environment that SCONE's runtime reads.

What a server in an enclave is told is decided by its session in CAS, not by whoever starts it: arguments and variables
of the host do not reach it, but those that the session takes from the host by name (`@@NAME`; `environment.host` of
`pool.toml`). So the environment given here is what app.toml sets, those of the wrapper's variables that the session
takes and app.toml passes on, and on top what SCONE reads before there is a session (`attestation.scone.deploy`). None
of it is secret: a server gets its identity from CAS, inside the enclave, and its user's key from its user.

A server that would not be told what it must know would come up wrongly, or not at all and without a word of why. So
before anything is started it is checked that the pool's session would be accepted by our checker, and that whatever
app.toml tells one server (its port, its boot id) is taken by the session. Each finding is a lasting `LaunchError`.

No descriptor is inherited but the three pipes: SCONE's documentation promises nothing of an inherited listening
socket, and a channel to the wrapper would be another way in beside CAS. So `socket = "port"` is needed in app.toml.

Not promised: that what was started is an enclave. `SCONE_MODE=hw` makes SCONE's runtime end where there is none, but a
program without that runtime ignores it. Clients are safe all the same, because CAS gives the key of servers'
certificates to the enclave of the session only. The wrapper's own interpreter is refused as a server's program because
that mistake is easy to make: `{python}` is right for every other launcher. Nothing here was ever run with SCONE.

app.toml's command must start the server's own process. `docker run` would start a client of a daemon, and a server
would outlive its kill.

Rejected: to start `pool.command`. What the session has there are arguments that the enclave sees; which file is loaded
into the enclave is up to the machine, and the session judges it by its measurement.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from msgspec import structs

from app_wrapper import application
from app_wrapper.application import Application, Place
from app_wrapper.launchers import LaunchError, LaunchRequest
from app_wrapper.launchers.child import ChildHandle
from app_wrapper.launchers.limits import UNLIMITED, Limits
from app_wrapper.launchers.spawn import SpawnLauncher
from attestation.scone import deploy, grammar, pool, session
from attestation.scone.pool import Pool

_SECRET: Final = "SCONE_SERVICE_ACCESS_TOKEN"  # noqa: S105  # a variable's name
"""SCONE's second factor. Whoever may read the environment of a process on this machine would know it."""


class SconeLauncher:
    """Starts the application's command for an enclave of the pool."""

    def __init__(
        self,
        app: Application,
        app_dir: Path,
        environ: Mapping[str, str],
        pool: Pool,
        limits: Limits = UNLIMITED,
    ) -> None:
        """`environ`: the wrapper's own, of which the session may take some; `pool`: whose session it is."""
        self._app = app
        self._app_dir = app_dir
        self._pool = pool
        self._environ = {name: environ[name] for name in pool.environment.host if name in environ}
        self._unusable = [*_of_pool(pool), *_of_application(app, pool)]
        self._inner = SpawnLauncher(app, app_dir, self._environ, deploy.environment(pool), limits)

    async def launch(self, request: LaunchRequest) -> ChildHandle:
        place = request.place(self._app_dir)
        for problem in (*self._unusable, *_inherited(request), *self._untold(place)):
            raise LaunchError(f"cannot start an enclave: {problem}", lasting=True)
        return await self._inner.launch(request)

    def trouble(self) -> str | None:
        return self._inner.trouble()

    async def close(self) -> None:
        await self._inner.close()

    def _untold(self, place: Place) -> Iterator[str]:
        """What the server ought to be told and would not be."""
        if application.command(self._app, place)[0] == sys.executable:
            yield "app.toml's command is the wrapper's own interpreter, which is no enclave"
        taken = self._pool.environment.host
        for name, value in application.own_environment(self._app, place).items():
            if value and name not in taken:
                yield f"the session does not take {name} from the host; add it to environment.host"
        given = application.environment(self._app, place, self._environ)
        for name in taken:
            if name not in given:
                yield f"the session takes {name} from the host, and app.toml neither sets nor passes it"


def _of_pool(description: Pool) -> Iterator[str]:
    """What is wrong with the pool, or with its session, whose key for the file system is not known here."""
    yield from pool.problems(description)
    text = session.build(structs.replace(description, filesystem=None))
    yield from (f"session: {each.path}: {each.text} [{each.code}]" for each in grammar.check(text))


def _of_application(app: Application, description: Pool) -> Iterator[str]:
    for name in sorted(app.env.set.keys() & {*deploy.environment(description), _SECRET}):
        if name == _SECRET:
            yield f"app.toml sets {name}, a secret; everybody on this machine who may look reads it"
        else:
            yield f"app.toml sets {name}, which pool.toml decides"


def _inherited(request: LaunchRequest) -> Iterator[str]:
    if request.fd is not None:
        yield 'it does not inherit the wrapper\'s socket; set socket = "port" in app.toml'
    if request.attest_fd is not None:
        yield "it has no channel to the wrapper: CAS attests it; set APP_WRAPPER_ATTESTATION=scone-cas"
