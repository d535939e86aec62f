"""A wrapper's volumes, as its settings and its application's `app.toml` want them."""

from app_wrapper.application import Application
from app_wrapper.settings import Settings
from app_wrapper.volumes.bounds import Bounds
from app_wrapper.volumes.data import Contents, Directory, Files
from app_wrapper.volumes.desk import Desk
from app_wrapper.volumes.hostpath import HostPathVolumes
from standby.settings import SettingsError


def make_desk(settings: Settings, app: Application) -> Desk:
    """Claims and releases of users' volumes.

    Raises:
        SettingsError: servers could not be told where volumes are.
    """
    root = settings.volumes_dir.absolute()
    if any(character.isspace() for character in str(root)):
        raise SettingsError(f"volumes_dir {str(root)!r} has a space; servers could not be told")
    return Desk(
        HostPathVolumes(root, contents=contents(settings, app)),
        deadline=settings.volume_claim,
        handover=settings.volume_handover,
        delay=settings.provisioning_delay,
    )


def bounds(settings: Settings) -> Bounds:
    """What a server may have in a directory of its own."""
    return Bounds(settings.volume_files, settings.volume_bytes)


def contents(settings: Settings, app: Application) -> Contents:
    """What the application keeps in a volume."""
    if app.volume.files:
        return Files(app.volume.files, app.volume.journals)
    return Directory(bounds(settings))
