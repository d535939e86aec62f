r"""`app.toml`: everything the wrapper needs to know of an application.

    name = "smartgrid"
    command = ["{python}", "-m", "smartgrid_server"]
    socket = "inherit"                      # or "port": the program binds {host}:{port} itself
    check = ["{python}", "-m", "smartgrid_server.check"]  # says before the first server whether settings can work
    template = ["{python}", "-m", "smartgrid_server.template"]  # servers can be forked from it; see standby/template.py
    probe = "tls"                           # it is ended when it no longer answers a ClientHello; default: "none"

    [env]
    set = { SMARTGRID_LISTEN_FD = "{fd}" }  # the same placeholders as in the command
    pass = ["SMARTGRID_*"]                  # variables of the wrapper that are passed on

    [events]                                # whole lines of stdout; these are the defaults
    waiting = 'WAITING_LOGIN'
    login = 'LOGIN (?P<uid>\S+)'
    logout = 'LOGOUT(?: (?P<reason>\S+))?'

    [timeouts]                              # seconds; the operator's settings win
    start = 30.0
    stop = 4.0

    [volume]
    files = ["notes.db"]                    # all that there is in a volume, made at enrolment; servers make no others
    journals = ["notes.db-wal"]             # also in it; made empty where they are missing
    tells = true                            # it says over its channel when it has opened a user's data, and closed it

    [attestation]                           # if its servers are measured; see app_wrapper/measuring
    modules = ["smartgrid_server.template"] # of a Python program: imported to see which libraries it loads
    places = ["HOME", "TMPDIR"]             # variables that only say where something is, so any value will do; default

Of the wrapper's environment a server gets `BASIC` and what `pass` names, nothing else: least of all the wrapper's own
settings. `{fd}` is empty with `socket = "port"`, `{uid}` is empty unless the server is one user's own, and
`{attest_fd}` unless it has a channel to the wrapper for its certificate (`attestation/issuing/messages.py`).
`{session_max}` is how many seconds a user may have the server, which its wrapper ends soon after that, `{volume_bytes}`
the size of the largest file that it can write. A variable that both `set` and the wrapper's environment give is an
error, since the latter would have no effect.

`check` is a program that has the environment of a server and ends at once: with exit status 78, and one line on stderr
that says why, if no server could work with it.

Without `files` a server does as it likes in its user's directory, and its wrapper looks at what became of it
(`app_wrapper/volumes/data.py`).

With `socket = "port"` the port is free when it is handed out, but nothing keeps it; that is why `inherit` is the
default.
"""

import fnmatch
import re
import string
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from standby import deadlines, decode
from standby.decode import UnreadableError
from standby.ids import BootId, Uid
from standby.settings import SettingsError

PLACEHOLDERS: Final = frozenset(
    {
        "python",
        "app_dir",
        "host",
        "port",
        "fd",
        "attest_fd",
        "slot_dir",
        "boot_id",
        "uid",
        "server_uid",
        "session_max",
        "volume_bytes",
    }
)
SHARED: Final = frozenset({"python", "app_dir"})
"""Placeholders that mean the same for all servers, so a template can have them, too."""
BASIC: Final = ("PATH", "HOME", "LANG", "LC_*", "TZ", "TMPDIR")
"""Variables any program may need, passed on always."""


_FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")]


class ApplicationError(SettingsError):
    """`app.toml` cannot be used; the message says where and why. The same file would fail again."""


class SocketMode(StrEnum):
    INHERIT = "inherit"
    """The program takes a listening socket as file descriptor `{fd}`."""
    PORT = "port"
    """The program binds `{host}:{port}` itself."""


class ProbeKind(StrEnum):
    NONE = "none"
    """Nobody notices that the program hangs, but its users."""
    TLS = "tls"
    """The program speaks TLS, and answers any ClientHello, if only with an alert."""


class Environment(Struct, frozen=True, forbid_unknown_fields=True):
    set: dict[str, str] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list, name="pass")


class Events(Struct, frozen=True, forbid_unknown_fields=True):
    waiting: str = "WAITING_LOGIN"
    login: str = r"LOGIN (?P<uid>\S+)"
    logout: str = r"LOGOUT(?: (?P<reason>\S+))?"


_Seconds = Annotated[float, Meta(gt=0, le=86_400)]
"""Of a start or an end: a day at most, which no server needs; TOML can write infinity."""


class Timeouts(Struct, frozen=True, forbid_unknown_fields=True):
    start: _Seconds | None = None
    stop: _Seconds | None = None


class VolumeUse(Struct, frozen=True, forbid_unknown_fields=True):
    """What servers do with users' volumes."""

    files: tuple[_FileName, ...] = ()
    journals: tuple[_FileName, ...] = ()
    tells: bool = False


class Attestation(Struct, frozen=True, forbid_unknown_fields=True):
    modules: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=lambda: ["HOME", "TMPDIR"])
    """Names, or patterns of names."""


class Application(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=63)]
    command: Annotated[list[str], Meta(min_length=1)]
    socket: SocketMode = SocketMode.INHERIT
    probe: ProbeKind = ProbeKind.NONE
    check: Annotated[list[str], Meta(min_length=1)] | None = None
    template: Annotated[list[str], Meta(min_length=1)] | None = None
    env: Environment = Environment()
    events: Events = Events()
    timeouts: Timeouts = Timeouts()
    volume: VolumeUse = VolumeUse()
    attestation: Attestation = Attestation()


class Place(Struct, frozen=True, kw_only=True):
    """What one server process is told about itself."""

    app_dir: Path
    host: str
    port: int
    fd: int | None
    attest_fd: int | None = None
    slot_dir: Path
    boot_id: BootId
    uid: Uid | None
    server_uid: int | None = None
    session_max: float = deadlines.SESSION_MAX
    volume_bytes: int | None = None

    def placeholders(self) -> dict[str, str]:
        return {
            "python": sys.executable,
            "app_dir": str(self.app_dir),
            "host": self.host,
            "port": str(self.port),
            "fd": "" if self.fd is None else str(self.fd),
            "attest_fd": "" if self.attest_fd is None else str(self.attest_fd),
            "slot_dir": str(self.slot_dir),
            "boot_id": self.boot_id,
            "uid": self.uid or "",
            "server_uid": "" if self.server_uid is None else str(self.server_uid),
            "session_max": f"{self.session_max:g}",
            "volume_bytes": "" if self.volume_bytes is None else str(self.volume_bytes),
        }


def load(file: Path) -> Application:
    """The application that `file` describes.

    Raises:
        ApplicationError: the file cannot be read, or is not a usable description.
    """
    try:
        application = decode.toml(file.read_bytes(), Application)
    except (OSError, UnreadableError) as error:
        raise ApplicationError(f"cannot use {file}: {error}") from error
    try:
        _check(application)
    except ApplicationError as error:
        raise ApplicationError(f"cannot use {file}: {error}") from error
    return application


def command(application: Application, place: Place) -> list[str]:
    """The program and its arguments."""
    values = place.placeholders()
    return [part.format_map(values) for part in application.command]


def template_command(application: Application, app_dir: Path) -> list[str]:
    """The program from which servers are forked, and its arguments.

    Raises:
        ApplicationError: the application has none.
    """
    values = _shared(app_dir)
    return [part.format_map(values) for part in template_of(application)]


def template_of(application: Application) -> list[str]:
    """The same with its placeholders.

    Raises:
        ApplicationError: the application has none.
    """
    if application.template is None:
        raise ApplicationError(f"{application.name}'s app.toml names no template to fork from")
    return application.template


def template_environment(
    application: Application, app_dir: Path, environ: Mapping[str, str]
) -> dict[str, str]:
    """What the environments of all servers have in common."""
    values, variables = _shared(app_dir), application.env.set
    passed = _passed(application, environ)
    return {name: value for name, value in passed.items() if name not in variables} | {
        name: text.format_map(values)
        for name, text in variables.items()
        if _placeholders(text) <= SHARED
    }


def check_command(application: Application, app_dir: Path) -> list[str] | None:
    """The program that says whether servers could work, and its arguments; None: there is none."""
    values = _shared(app_dir)
    return [part.format_map(values) for part in application.check] if application.check else None


def refuse_overridden(application: Application, environ: Mapping[str, str]) -> None:
    """Refuse variables that servers would not get as they are in the wrapper's environment.

    Raises:
        SettingsError: the first of them.
    """
    passed = _passed(application, environ)
    for variable in sorted(application.env.set.keys() & passed.keys()):
        if variable not in BASIC and passed[variable]:
            raise SettingsError(
                f"{variable} has no effect: {application.name}'s app.toml gives each server one of its own; unset it"
            )


def _shared(app_dir: Path) -> dict[str, str]:
    return {"python": sys.executable, "app_dir": str(app_dir)}


def _passed(application: Application, environ: Mapping[str, str]) -> dict[str, str]:
    """What every process of the application gets of the wrapper's environment."""
    patterns = (*BASIC, *application.env.passed)
    return {
        name: value
        for name, value in environ.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }


def environment(
    application: Application, place: Place, environ: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of a server process."""
    shared = template_environment(application, place.app_dir, environ)
    return shared | own_environment(application, place)


def own_environment(application: Application, place: Place) -> dict[str, str]:
    """What the environment of this server alone has."""
    values = place.placeholders()
    return {
        name: text.format_map(values)
        for name, text in application.env.set.items()
        if not _placeholders(text) <= SHARED
    }


def uses_server_uid(application: Application) -> bool:
    """Whether its servers can change to a uid of their own, as they ask for one."""
    return any("server_uid" in _placeholders(text) for _, text in _templates(application))


def _check(application: Application) -> None:
    for where, text in _templates(application):
        _check_template(where, text, PLACEHOLDERS)
    for text in application.template or ():
        _check_template("template", text, SHARED)
    for text in application.check or ():
        _check_template("check", text, SHARED)
    _pattern("waiting", application.events.waiting)
    if "uid" not in _pattern("login", application.events.login).groupindex:
        raise ApplicationError("events.login needs a group (?P<uid>…)")
    _pattern("logout", application.events.logout)
    _check_files(application.volume)


def _check_files(volume: VolumeUse) -> None:
    names = (*volume.files, *volume.journals)
    if volume.journals and not volume.files:
        raise ApplicationError("volume.journals needs volume.files, to which they belong")
    if len(set(names)) != len(names):
        raise ApplicationError("volume.files and volume.journals name a file twice")


def _templates(application: Application) -> list[tuple[str, str]]:
    return [("command", part) for part in application.command] + [
        (f"env.set.{name}", text) for name, text in application.env.set.items()
    ]


def _check_template(where: str, text: str, allowed: frozenset[str]) -> None:
    try:
        names = _placeholders(text)
    except ValueError as error:
        raise ApplicationError(f"{where}: {error}; a brace itself is written twice") from error
    if not names <= allowed:
        known = ", ".join(sorted(allowed))
        raise ApplicationError(
            f"{where} has unknown placeholders {sorted(names - allowed)}; known are {known}"
        )


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _pattern(name: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise ApplicationError(f"events.{name} is not a regular expression: {error}") from error
