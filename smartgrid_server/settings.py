"""What can be set of a server process, from variables `SMARTGRID_…`.

Most come from the wrapper's `app.toml`; a server started by hand needs only the three files. One that has a channel to
its wrapper for attestation gets its certificate over it, and looks at no issuer's files, whatever is set.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from smartgrid_server import rows
from smartgrid_server.messages import LAST_SECOND
from standby import deadlines
from standby.ids import BootIdField, UidField
from standby.settings import SettingsError, about

PART: Final = "smartgrid_server"
PREFIX: Final = "SMARTGRID"


class Hardening(StrEnum):
    ON = "on"
    """Every layer that the kernel has; a warning for each that it lacks."""
    REQUIRED = "required"
    """A server without one of the layers does not start."""
    OFF = "off"


class Settings(Struct, frozen=True, kw_only=True):
    client_authorities: Annotated[
        Path, Meta(**about("who may have signed clients' certificates, PEM"))
    ]
    attest_fd: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            **about(
                "inherited channel to the wrapper, over which the server proves what it is and gets its certificate; "
                "without it the issuer's files are needed"
            )
        ),
    ] = None
    issuer_certificate: Annotated[
        Path | None,
        Meta(
            **about(
                "issuing authority for server certificates, PEM chain without the root; needed without attest_fd, else "
                "not used"
            )
        ),
    ] = None
    issuer_key: Annotated[
        Path | None,
        Meta(**about("its private key, PEM; needed without attest_fd, else not used")),
    ] = None
    listen_fd: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(**about("inherited listening socket; without it host and port are bound")),
    ] = None
    host: Annotated[str, Meta(**about("address to listen on, without listen_fd"))] = "127.0.0.1"
    port: Annotated[
        int, Meta(ge=0, le=65535, **about("port to listen on, without listen_fd; 0: any free one"))
    ] = 0
    boot_id: Annotated[
        BootIdField | None,
        Meta(**about("names this life of the process; none: random")),
    ] = None
    dedicated_uid: Annotated[
        UidField | None,
        Meta(**about("serve this user alone and stay between sessions (approach trivial)")),
    ] = None
    run_as: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(**about("uid of its own that the server changes to; needs a start as root")),
    ] = None
    hardening: Annotated[
        Hardening,
        Meta(
            **about(
                "what the process gives up before it waits for its user; on: what the kernel can refuse; required: a "
                "kernel that lacks a layer stops the server; off"
            )
        ),
    ] = Hardening.ON
    volumes_dir: Annotated[
        Path | None,
        Meta(
            **about("where all users' volumes are; without it files are not kept from the process")
        ),
    ] = None
    session_length: Annotated[
        float, Meta(gt=0, **about("a LOGIN's token is good for this long", "seconds"))
    ] = deadlines.SESSION_LENGTH
    session_max: Annotated[
        float,
        Meta(
            gt=0,
            **about(
                "a session ends after this, however often its clients have logged in", "seconds"
            ),
        ),
    ] = deadlines.SESSION_MAX
    session_idle: Annotated[
        float, Meta(gt=0, **about("a session without requests ends after this", "seconds"))
    ] = deadlines.SESSION_IDLE
    login_deadline: Annotated[
        float,
        Meta(
            gt=0,
            **about(
                "a connection that has not logged in by then is closed, and a server to which a user came without "
                "logging in ends",
                "seconds",
            ),
        ),
    ] = deadlines.LOGIN_DEADLINE
    login_retry: Annotated[
        float, Meta(gt=0, **about("after a wrong key, time for another try", "seconds"))
    ] = deadlines.LOGIN_RETRY
    login_tries: Annotated[
        int, Meta(ge=1, **about("wrong keys after which the process gives the volume back"))
    ] = 3
    volume_bytes: Annotated[
        Annotated[int, Meta(ge=64 * 2**20)] | None,
        Meta(
            **about(
                "largest file that can be written; three quarters of it are for the database, which then refuses more "
                "(storage_full), the rest for its journal; none: as the disk has room",
                "bytes",
            )
        ),
    ] = None
    volume_answer: Annotated[
        float, Meta(gt=0, **about("the wrapper has this long to answer LOGIN", "seconds"))
    ] = deadlines.VOLUME_ANSWER
    members: Annotated[
        int, Meta(ge=1, **about("tokens valid at once; the least recently used gives way"))
    ] = 32
    max_rows: Annotated[
        int, Meta(ge=1, **about("rows in one LONG_WRITE (12 h of 15-second readings are 2880)"))
    ] = 20_000
    earliest: Annotated[
        int,
        Meta(
            ge=0,
            lt=LAST_SECOND,
            **about(
                "rows of a LONG_WRITE before this moment are rejected; the default is the year 2000",
                "Unix seconds",
            ),
        ),
    ] = rows.EARLIEST
    ahead: Annotated[
        float,
        Meta(
            ge=0,
            le=LAST_SECOND,
            **about(
                "rows of a LONG_WRITE that are this much after the server's time are rejected",
                "seconds",
            ),
        ),
    ] = rows.AHEAD
    max_alarms: Annotated[int, Meta(ge=1, **about("alarms in one WRITE"))] = 1_000
    max_buckets: Annotated[int, Meta(ge=1, **about("buckets in one QUERY_AVG answer"))] = 10_000
    body_limit: Annotated[
        int, Meta(ge=1024, **about("largest request body; room for max_rows readings", "bytes"))
    ] = 4 * 1024 * 1024

    def __post_init__(self) -> None:
        """Settings that cannot work together are refused here.

        Raises:
            SettingsError: which, and why.
        """
        if self.session_length > self.session_max:
            raise SettingsError(
                f"{PREFIX}_SESSION_LENGTH={self.session_length:g} is above the longest session, "
                f"{self.session_max:g} s: raise APP_WRAPPER_SESSION_MAX, by which wrappers set {PREFIX}_SESSION_MAX"
            )


def issuer_files(settings: Settings) -> tuple[Path, Path]:
    """Certificate and key of the issuing authority, which a server without a channel to its wrapper needs.

    Raises:
        SettingsError: one of them is not set.
    """
    certificate, key = settings.issuer_certificate, settings.issuer_key
    if certificate is None or key is None:
        missing = "ISSUER_CERTIFICATE" if certificate is None else "ISSUER_KEY"
        raise SettingsError(
            f"{PREFIX}_{missing} is not set: a server without {PREFIX}_ATTEST_FD, which wrappers set, needs "
            f"{PREFIX}_ISSUER_CERTIFICATE and {PREFIX}_ISSUER_KEY; `--help` lists every setting"
        )
    return certificate, key
