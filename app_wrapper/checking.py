"""The application's own check of its servers' environment, made before the first of them is started.

Without it a wrong setting of servers is seen only in that none of them comes up. What the program says is shown to
operators, so it is cut and cleaned as any text of a peer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app_wrapper import application
from app_wrapper.application import Application, Place
from app_wrapper.settings import Settings
from standby import deadlines, short_command
from standby.errors import words
from standby.exit_codes import EXIT_CONFIG
from standby.ids import new_boot_id
from standby.logs import EventLog
from standby.settings import SettingsError
from standby.text import printable

_LONGEST: Final = 1000
"""Characters of its text."""
log = EventLog(__name__)


async def refuse_unusable(settings: Settings, app: Application, environ: Mapping[str, str]) -> None:
    """Run the check with what every server of this wrapper would get of these variables.

    Servers in enclaves get others, from their session or manifest, so nothing is run for them. A check that cannot be
    run, or fails in another way, is only logged: servers themselves show then what is wrong.

    Raises:
        SettingsError: no server could work; the text names the application and gives its own words.
    """
    application.refuse_overridden(app, environ)
    app_dir = settings.app.absolute().parent
    command = application.check_command(app, app_dir)
    if command is None or settings.in_enclaves:
        return
    given = application.environment(app, _nowhere(app_dir, settings), environ)
    try:
        status, _, printed = await short_command.run(
            command, deadlines.APPLICATION_CHECK, place=app_dir, environ=given
        )
    except (OSError, TimeoutError) as error:
        log.warning("application_not_checked", text=words(error))
        return
    said = _last_line(printed)
    if status == EXIT_CONFIG:
        raise SettingsError(f"servers of {app.name} cannot work with their settings: {said}")
    if status != 0:
        log.warning("application_not_checked", text=f"exit status {status}: {said}")


def _nowhere(app_dir: Path, settings: Settings) -> Place:
    """What a server without a place would be told about itself."""
    return Place(
        app_dir=app_dir,
        host="",
        port=0,
        fd=None,
        slot_dir=app_dir,
        boot_id=new_boot_id(),
        uid=None,
        session_max=settings.session_max,
        volume_bytes=settings.volume_bytes,
    )


def _last_line(printed: str) -> str:
    lines = printed.strip().splitlines()
    return printable(lines[-1], _LONGEST) if lines else "it did not say why"
