"""What can be set of the `standby` command and the supervisor, from variables `STANDBY_…`."""

from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from standby.settings import about

PREFIX: Final = "STANDBY"


class Settings(Struct, frozen=True, kw_only=True):
    state_dir: Annotated[
        Path | None,
        Meta(**about("where the platform keeps all it writes; none: ~/.local/state/standby (XDG)")),
    ] = None
    seal_key: Annotated[
        Path | None,
        Meta(
            **about(
                "the key that opens the platform's own keys; none: a file beside the state directory"
            )
        ),
    ] = None
    log_size: Annotated[
        int,
        Meta(
            ge=4096,
            **about("largest size of a log file; when it is reached a new one is begun", "bytes"),
        ),
    ] = 16 * 2**20
    log_files: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            **about("full log files of each part that are kept, as `<part>.log.1` and so on"),
        ),
    ] = 4
