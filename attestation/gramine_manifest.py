"""The Gramine manifest of a pool's servers, made from the same description as the SCONE session.

It is a template: `gramine-manifest` puts Gramine's own paths in place of `{{ gramine.… }}`, `gramine-sgx-sign` adds the
hashes of trusted files and signs; only then is there an MRENCLAVE.

- Arguments and environment are fixed. What must come from the host is named as passthrough, so a reader sees it all.
- No child processes, no debugging, DCAP attestation, only trusted files (`strict`). `sys.disallow_subprocesses` is not
  a security feature of Gramine's; it keeps a server from using memory for a second enclave.
- Each volume is a mount of its own, encrypted with a key of the volume's name that the server writes to
  `/dev/attestation/keys/<name>` after LOGIN: 16 bytes. Gramine protects such files from being read, changed or
  swapped, not from being replaced by an old version of themselves after a restart; freshness is checked by the
  platform's own tag. An ephemeral volume is in memory.
- The pool's `files` are trusted with the hash of the text in the description, so the image must hold exactly that text.

`check` is a schema of ours for the keys used here, after Gramine 1.9's documentation; Gramine's own tool is
`gramine-manifest-check`. Nothing was run with Gramine here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from attestation.findings import Finding, warning
from attestation.scone.pool import Pool, UpdatePolicy, Volume, size_in_bytes
from attestation.scone.references import entries, mapping
from attestation.scone.shapes import (
    Check,
    by_type,
    flag,
    hexadecimal,
    list_of,
    map_of,
    matching,
    one_of,
    record,
    text,
    whole,
)
from attestation.scone.writing import Data, Value, toml_text

_LIBRARIES: Final = "/lib"
"""Where Gramine's own C library is seen inside."""


def manifest(pool: Pool) -> str:
    """The template, as TOML."""
    return toml_text(build(pool))


def build(pool: Pool) -> dict[str, Value]:
    """The template as data."""
    program = pool.command[0]
    libraries = [path.rstrip("/") for path in pool.gramine.libraries]
    return {
        "libos": {"entrypoint": program},
        "loader": {
            "entrypoint": {"uri": "file:{{ gramine.libos }}"},
            "log_level": "error",
            "argv": pool.command,
            "env": {"LD_LIBRARY_PATH": {"value": ":".join([_LIBRARIES, *libraries])}}
            | {name: {"value": value} for name, value in pool.environment.set.items()}
            | {name: {"passthrough": True} for name in pool.environment.host},
        },
        "sys": {"disallow_subprocesses": True, "stack": {"size": pool.stack}},
        "fs": {"mounts": _mounts(pool)},
        "sgx": _sgx(pool),
    }


def _sgx(pool: Pool) -> Data:
    signed: dict[str, Value] = {}
    if pool.signer is not None:
        signed = {"isvprodid": pool.signer.isvprodid, "isvsvn": pool.signer.isvsvn_min}
    return {
        "debug": False,
        "remote_attestation": "dcap",
        "enclave_size": pool.gramine.enclave_size,
        "max_threads": pool.gramine.max_threads,
        **signed,
        "file_check_policy": "strict",
        "trusted_files": _trusted(pool),
    }


def _mounts(pool: Pool) -> list[Value]:
    seen = [pool.command[0], *pool.gramine.libraries, *pool.gramine.trusted, *pool.files]
    return [
        {"path": _LIBRARIES, "uri": "file:{{ gramine.runtimedir() }}"},
        *({"path": path.rstrip("/"), "uri": f"file:{path.rstrip('/')}"} for path in _once(seen)),
        *(_volume(each) for each in pool.volumes),
        {"type": "tmpfs", "path": "/tmp"},  # noqa: S108  # in the enclave's memory, empty at each start
    ]


def _volume(volume: Volume) -> Data:
    path = volume.path.rstrip("/")
    if volume.update_policy is UpdatePolicy.EPHEMERAL:
        return {"type": "tmpfs", "path": path}
    return {"type": "encrypted", "path": path, "uri": f"file:{path}", "key_name": volume.name}


def _trusted(pool: Pool) -> list[Value]:
    """A path that ends with a slash is a directory, and all in it is trusted."""
    paths = [pool.command[0], *pool.gramine.libraries, *pool.gramine.trusted]
    return [
        "file:{{ gramine.libos }}",
        "file:{{ gramine.runtimedir() }}/",
        *(f"file:{path}" for path in _once(paths)),
        *(
            {"uri": f"file:{path}", "sha256": hashlib.sha256(content.encode()).hexdigest()}
            for path, content in pool.files.items()
        ),
    ]


def _once(paths: list[str]) -> list[str]:
    return list(dict.fromkeys(paths))


_URI: Final = matching(r"(file|dev):.+", "bad_uri", "a URI that begins with file: or dev:")
_ABSOLUTE: Final = matching(r"/.*", "not_absolute", "an absolute path")
_SIZE: Final = matching(r"[0-9]+[KMG]?", "bad_size", "a size, as in 512M")
_VARIABLE: Final = by_type(
    {str: text, dict: record({"value": text, "passthrough": flag})}, "text or a table"
)
_MOUNT: Final[Mapping[str, Check]] = {
    "type": one_of({"chroot", "encrypted", "tmpfs", "untrusted_shm"}),
    "path": _ABSOLUTE,
    "uri": _URI,
    "key_name": text,
    "enable_recovery": flag,
}
_SGX: Final[Mapping[str, Check]] = {
    "debug": flag,
    "remote_attestation": one_of({"none", "dcap"}),
    "enclave_size": _SIZE,
    "max_threads": whole(1, 4096),
    "edmm_enable": flag,
    "isvprodid": whole(0, 0xFFFF),
    "isvsvn": whole(0, 0xFFFF),
    "preheat_enclave": flag,
    "file_check_policy": one_of({"strict", "allow_all_but_log"}),
    "trusted_files": list_of(
        by_type(
            {str: _URI, dict: record({"uri": _URI, "sha256": hexadecimal(32)}, ["uri"])},
            "a URI or a table",
        )
    ),
    "allowed_files": list_of(_URI),
}
_MANIFEST: Final = record(
    {
        "libos": record({"entrypoint": _ABSOLUTE}, ["entrypoint"]),
        "loader": record(
            {
                "entrypoint": record({"uri": _URI}, ["uri"]),
                "log_level": one_of({"none", "error", "warning", "debug", "trace", "all"}),
                "argv": list_of(text, least=1),
                "env": map_of(_VARIABLE),
                "uid": whole(0, 0xFFFFFFFF),
                "gid": whole(0, 0xFFFFFFFF),
                "insecure__use_cmdline_argv": flag,
                "insecure__use_host_env": flag,
            }
        ),
        "sys": record(
            {
                "stack": record({"size": _SIZE}),
                "brk": record({"max_size": _SIZE}),
                "disallow_subprocesses": flag,
                "enable_sigterm_injection": flag,
                "enable_extra_runtime_domain_names_conf": flag,
                "fds": record({"limit": whole(1, 1 << 20)}),
            }
        ),
        "fs": record({"mounts": list_of(record(_MOUNT, ["path"]))}),
        "sgx": record(_SGX),
    },
    ["libos", "loader", "sgx"],
)


def check(data: object) -> list[Finding]:
    """Everything that is wrong or weak in a parsed manifest; empty: nothing was found."""
    findings = list(_MANIFEST("", data))
    if isinstance(data, dict):
        findings += _consistent(data)
        findings += _weak(data)
    return findings


def _consistent(data: Mapping[str, object]) -> Iterator[Finding]:
    loader, sgx = mapping(data, "loader"), mapping(data, "sgx")
    for name, each in mapping(loader, "env").items():
        if isinstance(each, dict) and len({"value", "passthrough"} & each.keys()) != 1:
            yield Finding(f"loader.env.{name}", "exclusive", "either value or passthrough")
        if isinstance(each, dict) and each.get("passthrough") is False:
            yield Finding(f"loader.env.{name}", "bad_passthrough", "passthrough can only be true")
    for where, each in entries(mapping(data, "fs"), "mounts"):
        if each.get("type") != "tmpfs" and "uri" not in each:
            yield Finding(f"fs.{where}.uri", "missing_key", "'uri' is needed")
        if each.get("type") == "encrypted" and "key_name" not in each:
            yield Finding(f"fs.{where}.key_name", "missing_key", "an encrypted mount names its key")
    size = sgx.get("enclave_size")
    if isinstance(size, str) and _bytes(size) & (_bytes(size) - 1):
        yield Finding("sgx.enclave_size", "not_a_power_of_two", f"{size} is not a power of two")
    if sgx.get("edmm_enable") is True and sgx.get("preheat_enclave") is True:
        yield Finding("sgx.preheat_enclave", "exclusive", "nothing to preheat with edmm_enable")


def _bytes(size: str) -> int:
    if size.isdecimal():
        return int(size)
    return size_in_bytes(size) if size[:-1].isdecimal() and size[-1] in "KMG" else 0


def _weak(data: Mapping[str, object]) -> Iterator[Finding]:
    loader, sgx = mapping(data, "loader"), mapping(data, "sgx")
    for key in sorted(loader):
        if key.startswith("insecure__") and loader[key]:
            yield warning(f"loader.{key}", "insecure", "the host chooses what the server is told")
    if "argv" not in loader:
        yield warning("loader.argv", "no_argv", "fix the arguments; the measurement covers them")
    if str(loader.get("log_level", "error")) not in {"none", "error"}:
        yield warning("loader.log_level", "talkative", "other levels than error may leak data")
    if sgx.get("debug") is True:
        yield warning("sgx.debug", "debug", "the host can read a debug enclave")
    if sgx.get("remote_attestation", "none") == "none":
        yield warning("sgx.remote_attestation", "not_attested", "the server could prove nothing")
    if sgx.get("file_check_policy", "strict") != "strict":
        yield warning("sgx.file_check_policy", "unchecked_files", "every file is allowed")
    if sgx.get("allowed_files"):
        yield warning("sgx.allowed_files", "unchecked_files", "allowed files are not protected")
    if mapping(data, "sys").get("disallow_subprocesses") is not True:
        yield warning(
            "sys.disallow_subprocesses", "subprocesses", "a child is an enclave of its own"
        )
