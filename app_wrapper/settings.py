"""What can be set of an App Wrapper, from variables `APP_WRAPPER_…`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from app_wrapper import server_uids
from app_wrapper.volumes import retention
from app_wrapper.volumes.bounds import MOST_BYTES, MOST_FILES
from standby import deadlines
from standby.approach import Approach
from standby.ids import WrapperIdField
from standby.settings import SettingsError, about

PREFIX: Final = "APP_WRAPPER"
_Port = Annotated[int, Meta(ge=1, le=65535)]
_Count = Annotated[int, Meta(ge=1, le=100_000)]
_Seconds = Annotated[float, Meta(gt=0)]
_MEBI: Final = 2**20
_Url = Annotated[str, Meta(pattern="^https://")]


class LauncherKind(StrEnum):
    SPAWN = "spawn"
    """Each server is a program started anew: any program, and nothing shared."""
    FORK = "fork"
    """Servers are forked from a warmed template, if app.toml names one: fast, small; see the threat model."""
    SIMULATED_ENCLAVE = "simulated-enclave"
    """As `spawn`, at the price of an enclave in a container that runs already. It protects nothing."""
    SIMULATED_CONTAINER = "simulated-container-enclave"
    """The same for an enclave in a new container. It protects nothing."""
    SCONE = "scone"
    """As `spawn`, with the environment that SCONE's runtime reads; needs SGX. Tried without it only."""


class Attestation(StrEnum):
    OFF = "off"
    """Servers get certificates without proof."""
    SOFT_DCAP = "soft-dcap"
    """SIMULATED: this wrapper measures its servers and signs for them itself."""
    GRAMINE_DCAP = "gramine-dcap"
    """Servers in enclaves under Gramine; the machine's quoting enclave signs."""
    SCONE_CAS = "scone-cas"
    """SCONE's CAS attests servers, and gives them their certificates' key itself."""


class Mode(StrEnum):
    STANDALONE = "standalone"
    """The pool starts with the wrapper."""
    DYNAMIC = "dynamic"
    """The pool starts when it is told to."""


class Settings(Struct, frozen=True, kw_only=True):
    id: Annotated[WrapperIdField, Meta(**about("stable name of this wrapper, a DNS label"))]
    app: Annotated[Path, Meta(**about("the application's app.toml"))]
    state_dir: Annotated[
        Path, Meta(**about("this wrapper's own state: epoch, servers' directories"))
    ]
    volumes_dir: Annotated[Path, Meta(**about("users' volumes, one directory each"))]
    copies_dir: Annotated[
        Path | None,
        Meta(
            **about(
                "copies of volumes as servers closed them, not below volumes_dir; none: no copies, and a server that "
                "was taken over can destroy what its user has stored"
            )
        ),
    ] = None
    copies: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            **about(
                "newest copies of a volume that are kept, each as large as the volume where the file system shares no "
                "blocks; up to two of the last two days are kept beside them; 0: no copies are made",
                "copies",
            ),
        ),
    ] = retention.NEWEST
    host: Annotated[str, Meta(**about("address of the plain listener (reading only)"))] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, **about("its port; 0: the system chooses"))] = 0
    control_host: Annotated[str, Meta(**about("address of the control listener (mutual TLS)"))] = (
        "127.0.0.1"
    )
    control_port: Annotated[
        int, Meta(ge=0, le=65535, **about("its port; 0: the system chooses"))
    ] = 0
    tls_certificate: Annotated[
        Path | None, Meta(**about("PEM; without TLS files the wrapper takes no orders"))
    ] = None
    tls_key: Annotated[Path | None, Meta(**about("PEM"))] = None
    tls_authorities: Annotated[
        Path | None, Meta(**about("who may have signed the other parts' certificates, PEM"))
    ] = None
    report_urls: Annotated[
        tuple[_Url, ...],
        Meta(**about("control listener of each Routing Manager, with commas; none: no reports")),
    ] = ()
    approach: Annotated[
        Approach,
        Meta(
            **about(
                "standby: a pool; on-demand: started when ordered; trivial: one server per user"
            )
        ),
    ] = Approach.STANDBY
    mode: Annotated[
        Mode, Meta(**about("standalone: starts at once; dynamic: starts with POST /v1/start"))
    ] = Mode.STANDALONE
    launcher: Annotated[
        LauncherKind | None,
        Meta(
            **about(
                "spawn: start a program; fork: fork a warmed one (see the threat model); simulated-enclave and "
                "simulated-container-enclave: as spawn, with the costs of an enclave and no protection at all; scone; "
                "none: fork where app.toml names a template and attestation is off or soft-dcap, else spawn"
            )
        ),
    ] = None
    enclave: Annotated[
        Path | None,
        Meta(
            **about(
                "what simulated enclaves cost, a changed copy of app_wrapper/launchers/enclave.toml; none: that file"
            )
        ),
    ] = None
    scone_pool: Annotated[
        Path | None,
        Meta(**about("pool.toml of the launcher scone; see attestation/scone/pool.py")),
    ] = None
    attestation: Annotated[
        Attestation,
        Meta(
            **about(
                "what a server must prove before it is READY, and by what; soft-dcap is SIMULATED and protects nothing"
            )
        ),
    ] = Attestation.OFF
    first_server_uid: Annotated[
        int,
        Meta(
            ge=1,
            le=2**32 - 2 - server_uids.SPAN,
            **about(
                "if started as root: uid of slot 0's server, slot n has n more; wrappers of one machine need ranges of "
                "their own"
            ),
        ),
    ] = server_uids.FIRST
    policy: Annotated[
        Path | None,
        Meta(
            **about(
                "which servers are admitted, and beside it a simulated root; servers pass a signed one on to clients"
            )
        ),
    ] = None
    issuer_certificate: Annotated[
        Path | None,
        Meta(**about("authority that certifies servers' own, PEM; none: servers get no channel")),
    ] = None
    issuer_key: Annotated[Path | None, Meta(**about("its private key, sealed"))] = None
    seal_key: Annotated[
        Path | None, Meta(**about("key of what is sealed: 64 hex digits; keep it elsewhere"))
    ] = None
    user_authorities: Annotated[
        Path | None,
        Meta(
            **about(
                "who may have signed users' certificates, PEM: a server's LOGIN is taken only with its user's proof; "
                "needed with issuer_certificate, without it servers are believed"
            )
        ),
    ] = None
    platform_dir: Annotated[
        Path | None, Meta(**about("the simulated platform's keys, sealed (soft-dcap)"))
    ] = None
    measurement_dir: Annotated[
        Path | None,
        Meta(
            **about(
                "what was measured of the servers' program before, sealed, to be used while nothing has changed "
                "(soft-dcap); none: the wrapper measures all at its start"
            )
        ),
    ] = None
    audit_dir: Annotated[
        Path | None, Meta(**about("signed log of verdicts, this wrapper's alone"))
    ] = None
    audit_segment: Annotated[
        int,
        Meta(
            ge=65_536,
            **about(
                "a log of verdicts this large is closed and another one is begun; closed ones may be moved away",
                "bytes",
            ),
        ),
    ] = 16 * _MEBI
    freshness_dir: Annotated[
        Path | None,
        Meta(**about("what users' databases were when closed; not on the volumes' storage")),
    ] = None
    collateral: Annotated[
        Path | None, Meta(**about("what evidence is verified with, JSON (gramine-dcap)"))
    ] = None
    pool_size: Annotated[
        int,
        Meta(ge=0, le=100_000, **about("servers to keep running (approach standby)", "processes")),
    ] = 2
    capacity: Annotated[
        _Count | None,
        Meta(
            **about("most servers at once; none: pool_size with on-demand, else 1000", "processes"),
        ),
    ] = None
    concurrent_starts: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(
            **about(
                "servers that may be STARTING at the same time; none: one less than there are processors, "
                "but at least one",
                "processes",
            )
        ),
    ] = None
    starts_per_second: Annotated[
        float,
        Meta(gt=0, **about("servers started in a second, at most; also the largest burst", "1/s")),
    ] = 50.0
    server_host: Annotated[
        str, Meta(**about("address on which servers listen, and are reported"))
    ] = "127.0.0.1"
    first_port: Annotated[
        _Port | None,
        Meta(**about("lowest port of servers; none: the system chooses")),
    ] = None
    last_port: Annotated[_Port | None, Meta(**about("highest port of servers"))] = None
    provisioning_delay: Annotated[
        float, Meta(ge=0, **about("added to each claim, to act like a slower provider", "seconds"))
    ] = 0.0
    heartbeat: Annotated[float, Meta(gt=0, **about("between two full reports", "seconds"))] = (
        deadlines.HEARTBEAT
    )
    report_timeout: Annotated[
        float, Meta(gt=0, **about("for one report to be answered", "seconds"))
    ] = deadlines.REPORT_TIMEOUT
    server_start: Annotated[
        _Seconds | None,
        Meta(
            **about(
                f"from launch to READY; none: as app.toml says, else {deadlines.SERVER_START:g}",
                "seconds",
            ),
        ),
    ] = None
    server_stop: Annotated[
        _Seconds | None,
        Meta(
            **about(
                f"from closing stdin to kill; none: as app.toml says, else {deadlines.SERVER_STOP:g}",
                "seconds",
            ),
        ),
    ] = None
    probe_interval: Annotated[
        float,
        Meta(gt=0, **about("between two probes of a server, if app.toml wants them", "seconds")),
    ] = deadlines.PROBE_INTERVAL
    probe_answer: Annotated[
        float,
        Meta(gt=0, **about("for a probe's answer; two missed ones end the server", "seconds")),
    ] = deadlines.PROBE_ANSWER
    unclaimed_start: Annotated[
        float,
        Meta(gt=0, **about("an ordered server nobody logs in to is ended after this", "seconds")),
    ] = deadlines.UNCLAIMED_START
    server_memory: Annotated[
        int,
        Meta(
            ge=64 * _MEBI,
            **about(
                "private memory that one server can have; the smart-grid server has 90 MiB, and 310 MiB while 800 "
                "strangers are connected; a server that wants more ends, or fails at its work (not for enclaves, "
                "which have a size)",
                "bytes",
            ),
        ),
    ] = 512 * _MEBI
    server_descriptors: Annotated[
        int,
        Meta(
            ge=64,
            **about(
                "files and connections that one server can have open; the smart-grid server needs 15, and one for "
                "each connection: the load balancer lets 800 of strangers be there at once (100 a second, for the 8 "
                "seconds until one without LOGIN is closed)",
                "descriptors",
            ),
        ),
    ] = 1024
    server_threads: Annotated[
        int,
        Meta(
            ge=8,
            **about(
                "threads and processes of one server, where it has a uid of its own; the smart-grid server needs 3",
                "threads",
            ),
        ),
    ] = 64
    volume_bytes: Annotated[
        int,
        Meta(
            ge=64 * _MEBI,
            **about(
                "largest file that a server can write, and all that it may have in a directory of its own; a volume of "
                "the smart grid holds 15-second readings of six years, then it refuses more (storage_full)",
                "bytes",
            ),
        ),
    ] = MOST_BYTES
    volume_files: Annotated[
        int,
        Meta(
            ge=1,
            **about(
                "files and directories that a server may have in a directory of its own; one with more is ended, and "
                "its volume is refused until it was mended (where app.toml names the files, there are just these)",
                "files",
            ),
        ),
    ] = MOST_FILES
    usage_watch: Annotated[
        float,
        Meta(
            gt=0,
            **about(
                "between two looks at how much servers have in directories of their own", "seconds"
            ),
        ),
    ] = deadlines.USAGE_WATCH
    bound_login: Annotated[
        float,
        Meta(
            gt=0,
            **about(
                "a server that has begun to read a user's requests is ended if they do not log in within this",
                "seconds",
            ),
        ),
    ] = deadlines.BOUND_LOGIN
    session_max: Annotated[
        float,
        Meta(
            gt=0,
            **about(
                "a user has a server for at most this long and then logs in again; one that serves longer is ended "
                f"{deadlines.SESSION_OVERRUN:g} s later (not with approach trivial, where a server is one user's own)",
                "seconds",
            ),
        ),
    ] = deadlines.SESSION_MAX
    volume_open: Annotated[
        float,
        Meta(
            gt=0,
            **about(
                "a server that was given a user's volume and has not opened it by then is ended, if app.toml says that "
                "servers tell",
                "seconds",
            ),
        ),
    ] = deadlines.VOLUME_OPEN
    restart_first: Annotated[
        float,
        Meta(
            gt=0,
            **about("pause after a first failed start, doubled by each further one", "seconds"),
        ),
    ] = deadlines.RESTART_FIRST
    restart_most: Annotated[
        float, Meta(gt=0, **about("longest pause between two starts of a slot", "seconds"))
    ] = deadlines.RESTART_MOST
    volume_claim: Annotated[
        float, Meta(gt=0, **about("the provider's time for one claim or release", "seconds"))
    ] = deadlines.VOLUME_CLAIM
    volume_handover: Annotated[
        float,
        Meta(ge=0, **about("a claim waits this long for a holder that is leaving", "seconds")),
    ] = deadlines.VOLUME_HANDOVER
    drain: Annotated[
        float, Meta(ge=0, **about("sessions of a draining wrapper go on this long", "seconds"))
    ] = deadlines.DRAIN
    wrapper_stop: Annotated[
        float,
        Meta(gt=0, **about("a draining wrapper is gone after this, whatever hangs", "seconds")),
    ] = deadlines.WRAPPER_STOP

    def __post_init__(self) -> None:
        """Settings that cannot work together are refused here.

        Raises:
            SettingsError: which, and why.
        """
        if (self.first_port is None) != (self.last_port is None):
            raise SettingsError(f"set both {PREFIX}_FIRST_PORT and {PREFIX}_LAST_PORT, or none")
        if self.first_port and self.last_port and self.first_port > self.last_port:
            raise SettingsError(f"{PREFIX}_FIRST_PORT is above {PREFIX}_LAST_PORT")
        if self.report_urls and not self.tls_certificate:
            raise SettingsError(
                f"{PREFIX}_REPORT_URLS needs {PREFIX}_TLS_CERTIFICATE, _TLS_KEY and _TLS_AUTHORITIES"
            )
        if self.approach is Approach.STANDBY:
            self._check_pool()

    def _check_pool(self) -> None:
        if self.pool_size > self.most:
            raise SettingsError(
                f"{PREFIX}_POOL_SIZE={self.pool_size} is above {PREFIX}_CAPACITY={self.most}"
            )
        ports = range(self.first_port or 0, (self.last_port or 0) + 1)
        if self.first_port and len(ports) < self.pool_size:
            raise SettingsError(
                f"{PREFIX}_POOL_SIZE={self.pool_size} servers need as many ports, and from {PREFIX}_FIRST_PORT to"
                f" {PREFIX}_LAST_PORT there are {len(ports)}"
            )

    @property
    def in_enclaves(self) -> bool:
        """Whether servers run in enclaves, which this machine's accounts and variables do not reach."""
        return self.launcher is LauncherKind.SCONE or self.attestation is Attestation.GRAMINE_DCAP

    @property
    def most(self) -> int:
        """Most servers at once."""
        if self.capacity is not None:
            return self.capacity
        return max(1, self.pool_size) if self.approach is Approach.ON_DEMAND else 1000
