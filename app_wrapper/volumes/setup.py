"""A wrapper's volumes, as its settings and its application's `app.toml` want them."""

from collections.abc import Callable

from app_wrapper.application import Application
from app_wrapper.settings import Settings
from app_wrapper.volumes.bounds import Bounds
from app_wrapper.volumes.copier import Copier
from app_wrapper.volumes.copies import Kept
from app_wrapper.volumes.data import Contents, Directory, Files
from app_wrapper.volumes.desk import Desk
from app_wrapper.volumes.hostpath import HostPathVolumes
from app_wrapper.volumes.hostpath_copies import HostPathCopies
from standby.logs import EventLog
from standby.settings import SettingsError

log = EventLog(__name__)


def make_desk(settings: Settings, app: Application, tell: Callable[[Kept], None]) -> Desk:
    """Claims, releases and copies of users' volumes; `tell` is told what came of each copy that was due.

    Raises:
        SettingsError: servers could not be told where volumes are, or would come to the copies.
    """
    root = settings.volumes_dir.absolute()
    if any(character.isspace() for character in str(root)):
        raise SettingsError(f"volumes_dir {str(root)!r} has a space; servers could not be told")
    provider = HostPathVolumes(root, contents=contents(settings, app))
    return Desk(
        provider,
        deadline=settings.volume_claim,
        handover=settings.volume_handover,
        delay=settings.provisioning_delay,
        copier=_copier(settings, provider, tell),
    )


def _copier(
    settings: Settings, provider: HostPathVolumes, tell: Callable[[Kept], None]
) -> Copier | None:
    """Makes copies of volumes; None: they are not wanted."""
    if settings.copies_dir is None or settings.copies == 0:
        log.warning(
            "volumes_not_copied",
            text="a server that was taken over can destroy what its user has stored: set copies_dir",
        )
        return None
    root, volumes = settings.copies_dir.absolute(), settings.volumes_dir.absolute()
    if root.resolve().is_relative_to(volumes.resolve()):
        raise SettingsError("copies_dir lies below volumes_dir, where servers come; move it")
    return Copier(HostPathCopies(root, provider, newest=settings.copies), tell)


def bounds(settings: Settings) -> Bounds:
    """What a server may have in a directory of its own."""
    return Bounds(settings.volume_files, settings.volume_bytes)


def contents(settings: Settings, app: Application) -> Contents:
    """What the application keeps in a volume."""
    if app.volume.files:
        return Files(app.volume.files, app.volume.journals)
    return Directory(bounds(settings))
