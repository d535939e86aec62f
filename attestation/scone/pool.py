r"""`pool.toml`: everything that the texts for one pool of enclaves are made from.

    name = "smartgrid"                                # a DNS label; names images' and pods' parts, too
    image = "registry.example.org/smartgrid:1.0"      # what the Dockerfile builds
    base = "registry.example.org/scone-python:3.11"   # what it is built from
    command = ["/usr/bin/python3", "-m", "smartgrid_server"]
    heap = "512M"                                     # enters MRENCLAVE where EDMM is off
    session = "example/smartgrid"                     # its name in CAS
    predecessor = "0f…"                               # hash of the session that this one replaces; absent: it is new
    mrenclave = ["3a…"]                               # any of these …
    signer = { mrsigner = "5b…", isvprodid = 1, isvsvn_min = 3 }   # … and signed like this; one may be absent
    platforms = ["INTEL_QE_ID:…"]                     # absent: any machine
    tolerate = ["hyperthreading", "software-hardening-needed"]

    [environment]
    set = { SMARTGRID_HOST = "0.0.0.0" }              # fixed by the session
    host = ["SMARTGRID_PORT", "SMARTGRID_BOOT_ID"]    # taken from the host, which may lie; name only what it may choose

    [identity]                                        # variables that say where the issuing authority's files are
    certificate = "SMARTGRID_ISSUER_CERTIFICATE"      # absent: a server looks in IDENTITY_DIRECTORY by itself
    key = "SMARTGRID_ISSUER_KEY"

    [[volumes]]
    name = "users"
    path = "/data"                                    # rollback_protected unless update_policy says ephemeral

    [files]                                           # public texts that the session fixes: authorities, for instance
    "/run/authorities/users.pem" = "-----BEGIN CERTIFICATE-----…"

    [filesystem]                                      # SCONE's protected file system, made by `scone fspf`
    path = "/fspf/fs.fspf"
    tag = "77…"                                       # its key is a secret and is not written here

    [cas]
    address = "cas.confidential"
    image = "…"                                       # needed for manifests only, as is database
    database = "/…"                                   # where that image keeps its state; see its documentation
    [las]
    address = "las.confidential"
    image = "…"

    [gramine]
    enclave_size = "1G"                               # a power of two
    max_threads = 32
    libraries = ["/usr/lib/x86_64-linux-gnu/"]
    trusted = ["/usr/lib/python3.11/", "/app/"]

A description holds no secret. It cannot describe what makes attestation worthless (debug enclaves, an outdated TCB,
volumes without protection from rollback, a session that anybody may change). Placeholders of SCONE (`$$SCONE::…$$`,
`@@…`) and of Gramine's templates (`{{…}}`) are placed by the generators and refused here, so no text of the description
can fetch a secret or a value of the host by itself.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from attestation.scone import vocabulary
from standby import decode
from standby.decode import UnreadableError
from standby.errors import BadRequestError
from standby.ids import LABEL_PATTERN

IDENTITY_DIRECTORY: Final = "/run/identity"
"""Where a server finds the authority that a session injects: what signs the certificates it shows its users."""

# `$` alone would accept a trailing newline
_END: Final = r"$(?!\n)"
_DNS: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
_PORT: Final = r"(:[1-9][0-9]{0,4})?"
_FOREIGN: Final = ("$$SCONE", "@@", "{{", "{%", "{#")
_COMMANDING: Final = ("LD_", "PYTHON")
"""Variables that a loader or an interpreter obeys."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_BUT_LINES: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")

Label = Annotated[str, Meta(pattern=LABEL_PATTERN)]
Hash = Annotated[str, Meta(pattern=rf"^[0-9a-f]{{64}}{_END}")]
Address = Annotated[str, Meta(pattern=rf"^{_DNS}{_PORT}{_END}")]
ImageName = Annotated[str, Meta(pattern=rf"^[a-zA-Z0-9][a-zA-Z0-9._/:@-]{{0,511}}{_END}")]
Size = Annotated[str, Meta(pattern=rf"^[1-9][0-9]{{0,8}}[KMG]{_END}")]
_NO_DOTS: Final = r"(?!\.{1,2}(/|$))"
InnerPath = Annotated[str, Meta(pattern=rf"^(/{_NO_DOTS}[A-Za-z0-9_.+-]+)+/?{_END}")]
"""An absolute path, of characters that mean nothing to a shell, a template or a pattern."""
Variable = Annotated[str, Meta(pattern=rf"^[A-Za-z_][A-Za-z0-9_]{{0,254}}{_END}")]
Number16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
Reader = Annotated[
    str, Meta(pattern=rf"^(CREATOR|{vocabulary.KEY_HASH}|{vocabulary.CERTIFICATE}){_END}")
]


class PoolError(BadRequestError):
    """The description cannot be used, or lacks what the text asked for needs; the message says where and why."""

    code = "bad_pool_description"


class UpdatePolicy(StrEnum):
    ROLLBACK_PROTECTED = "rollback_protected"
    EPHEMERAL = "ephemeral"


class Signer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mrsigner: Hash
    isvprodid: Number16
    isvsvn_min: Number16


class Environment(Struct, frozen=True, forbid_unknown_fields=True):
    set: dict[Variable, str] = field(default_factory=dict)
    host: list[Variable] = field(default_factory=list)


class Identity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Variables of SCONE's session alone: under Gramine nothing is injected."""

    certificate: Variable
    key: Variable

    @property
    def variables(self) -> list[str]:
        return [self.certificate, self.key]


class Volume(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Label
    path: InnerPath
    update_policy: UpdatePolicy = UpdatePolicy.ROLLBACK_PROTECTED


class Filesystem(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: InnerPath
    tag: Annotated[str, Meta(pattern=rf"^[0-9a-f]{{32}}{_END}")]


class Cas(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: Address
    image: ImageName | None = None
    database: InnerPath | None = None


class Las(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    address: Address
    image: ImageName | None = None


class Access(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    read: Annotated[list[Reader], Meta(min_length=1)] = field(default_factory=lambda: ["CREATOR"])
    update: Annotated[list[Reader], Meta(min_length=1)] = field(default_factory=lambda: ["CREATOR"])


class Gramine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enclave_size: Size = "1G"
    max_threads: Annotated[int, Meta(ge=4, le=4096)] = 32
    """At least 4: Gramine has three helper threads of its own (its documentation, "Number of threads")."""
    libraries: list[InnerPath] = field(default_factory=list)
    trusted: list[InnerPath] = field(default_factory=list)


class Pool(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Label
    image: ImageName
    base: ImageName
    command: Annotated[list[Annotated[str, Meta(min_length=1)]], Meta(min_length=1)]
    heap: Size
    stack: Size = "4M"
    """Of a thread; images with Python use 2 to 4 MB (SCONE's documentation)."""
    session: Annotated[str, Meta(pattern=rf"^{vocabulary.SESSION_NAME}{_END}")]
    predecessor: Hash | None = None
    mrenclave: list[Hash] = field(default_factory=list)
    signer: Signer | None = None
    platforms: list[Annotated[str, Meta(pattern=rf"^{vocabulary.PLATFORM}{_END}")]] = field(
        default_factory=list
    )
    tolerate: list[str] = field(default_factory=list)
    ignore_advisories: list[Annotated[str, Meta(pattern=rf"^{vocabulary.ADVISORY}{_END}")]] = field(
        default_factory=list
    )
    environment: Environment = Environment()
    identity: Identity | None = None
    volumes: list[Volume] = field(default_factory=list)
    files: dict[InnerPath, str] = field(default_factory=dict)
    filesystem: Filesystem | None = None
    access: Access = Access()
    cas: Cas
    las: Las
    gramine: Gramine = Gramine()


def load(file: Path) -> Pool:
    """The pool that `file` describes.

    Raises:
        PoolError: the file cannot be read, or is not a usable description.
    """
    try:
        pool = decode.toml(file.read_bytes(), Pool)
    except (OSError, UnreadableError) as error:
        raise PoolError(f"cannot use {file}: {error}") from error
    for problem in problems(pool):
        raise PoolError(f"cannot use {file}: {problem}")
    return pool


def size_in_bytes(size: str) -> int:
    return int(size[:-1]) << {"K": 10, "M": 20, "G": 30}[size[-1]]


def problems(pool: Pool) -> Iterator[str]:
    """What is wrong with a description whose types are right."""
    if not pool.mrenclave and pool.signer is None:
        yield "mrenclave, signer: one of them is needed, else every program would be admitted"
    if not pool.command[0].startswith("/"):
        yield "command: the program needs an absolute path; an enclave searches no PATH"
    if any(segment in {".", ".."} for segment in pool.session.split("/")):
        yield "session: a part of the name is `.` or `..`"
    yield from _weakened(pool)
    yield from _texts(pool)
    yield from _paths(pool)
    yield from _twice("mrenclave", pool.mrenclave)
    yield from _twice("volumes.name", [each.name for each in pool.volumes])
    yield from _twice("environment", _variables(pool))
    size = size_in_bytes(pool.gramine.enclave_size)
    if size & (size - 1):
        yield "gramine.enclave_size: SGX wants a power of two"


def _variables(pool: Pool) -> list[str]:
    """All that the description names."""
    identity = pool.identity.variables if pool.identity else []
    return [*pool.environment.set, *pool.environment.host, *identity]


def _paths(pool: Pool) -> Iterator[str]:
    paths = [path.rstrip("/") for path in (*(each.path for each in pool.volumes), *pool.files)]
    yield from _twice("path", paths)
    for path in paths:
        if f"{path}/".startswith(f"{IDENTITY_DIRECTORY}/"):
            yield f"path: {path!r} is where the identity is injected"
    for path in pool.files:
        if path.endswith("/"):
            yield f"files: {path!r} is a directory's path"


def _weakened(pool: Pool) -> Iterator[str]:
    known = vocabulary.TOLERATIONS - vocabulary.WORTHLESS - {"maa-managed-tcb"}
    for each in pool.tolerate:
        if each in vocabulary.WORTHLESS:
            yield f"tolerate: with {each!r} attestation proves nothing"
        elif each not in known:
            yield f"tolerate: unknown {each!r}; known are {', '.join(sorted(known))}"
    for name in _variables(pool):
        if name.startswith("SCONE_"):
            yield f"environment: {name} is SCONE's own and is set by the generator"
    for name in pool.environment.host:
        if name.startswith(_COMMANDING):
            yield f"environment.host: with {name} the host could choose what code runs"


def _texts(pool: Pool) -> Iterator[str]:
    lines = [("command", each) for each in pool.command]
    lines += [(f"environment.set.{name}", each) for name, each in pool.environment.set.items()]
    blocks = [(f"files.{path}", each) for path, each in pool.files.items()]
    for where, text in (*lines, *blocks):
        for mark in _FOREIGN:
            if mark in text:
                yield f"{where}: {mark!r} would be a placeholder; they are placed by the generator"
    for where, text in lines:
        if _CONTROL.search(text):
            yield f"{where}: control characters and line ends are not allowed"
    for where, text in blocks:
        if _CONTROL_BUT_LINES.search(text):
            yield f"{where}: control characters are not allowed"


def _twice(where: str, values: list[str]) -> Iterator[str]:
    for each in sorted({each for each in values if values.count(each) > 1}):
        yield f"{where}: {each!r} is there twice"
