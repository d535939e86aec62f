"""`python -m attestation.scone`: the texts of a pool, the upload of its session, and what a session exports.

    generate POOL.toml DIRECTORY [--namespace NAME] [--filesystem-key FILE]
    upload SESSION.yaml --cas URL --certificate FILE --key FILE --authority FILE
    exported SESSION SECRET --cas URL --certificate FILE --key FILE --authority FILE

`generate` writes `session.yaml` (readable by its owner only, because it holds the file system's key if there is one),
`Dockerfile` with the list of what stays out of the image, `scone.env`, `commands.txt`, `server.manifest.template` if
trusted files are named, and for each of LAS and CAS whose image is named a manifest. `upload` prints the hash, which
the next version of the session names as predecessor; `exported` prints a public value of a session, such as the
certificate of its servers' authority.

Exit status: 0 done, 1 refused by the CAS or by a check of ours, 78 the description cannot be used.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attestation import gramine_manifest
from attestation.findings import Finding
from attestation.scone import commands, deploy, grammar, session
from attestation.scone.cas import CasClient
from attestation.scone.pool import Pool, PoolError, load
from standby import pki, tls
from standby.errors import PlatformError
from standby.secret import Secret
from standby.settings import SettingsError
from standby.text import visible

_TIMEOUT: Final = 30.0
"""Seconds for a call: a person waits for it."""
_KEY_SIZE: Final = 32
_REFUSED: Final = 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m attestation.scone")
    chosen = _add_commands(parser).parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except (PoolError, SettingsError) as error:
        return _failed(error, os.EX_CONFIG)
    except (PlatformError, OSError) as error:
        return _failed(error, _REFUSED)


def _add_commands(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    known = parser.add_subparsers(required=True)
    generating = known.add_parser("generate", help="write the texts of a pool")
    generating.add_argument("pool", type=Path)
    generating.add_argument("directory", type=Path)
    generating.add_argument("--namespace", default="confidential", help="of Kubernetes")
    generating.add_argument("--filesystem-key", type=Path, help="file with 64 hex digits")
    generating.set_defaults(run=_generate)
    uploading = known.add_parser("upload", help="put a session into a CAS")
    uploading.add_argument("session", type=Path)
    uploading.set_defaults(run=_upload)
    reading = known.add_parser("exported", help="print what a session exports to everybody")
    reading.add_argument("session")
    reading.add_argument("secret")
    reading.set_defaults(run=_exported)
    for calling in (uploading, reading):
        calling.add_argument("--cas", required=True, help="https://HOST:8081")
        for name in ("--certificate", "--key", "--authority"):
            calling.add_argument(name, type=Path, required=True)
    return parser


def _failed(error: Exception, status: int) -> int:
    print(visible(f"{getattr(error, 'code', 'error')}: {error}"), file=sys.stderr)
    return status


def _generate(chosen: argparse.Namespace) -> int:
    pool = load(chosen.pool)
    key = None if chosen.filesystem_key is None else _key(chosen.filesystem_key)
    findings = [*grammar.check(session.build(pool, key)), *_of_gramine(pool)]
    for each in findings:
        print(f"{each.severity}: {each.path}: {each.text} [{each.code}]", file=sys.stderr)
    if findings:
        return _REFUSED
    chosen.directory.mkdir(parents=True, exist_ok=True)
    pki.write_private(chosen.directory / "session.yaml", session.text(pool, key).encode())
    for name, text in texts(pool, chosen.namespace):
        (chosen.directory / name).write_text(text, encoding="utf-8")
    return 0


def texts(pool: Pool, namespace: str) -> Iterator[tuple[str, str]]:
    """File names and texts that hold no secret."""
    yield "Dockerfile", deploy.dockerfile(pool)
    yield "Dockerfile.dockerignore", deploy.dockerignore()
    yield "scone.env", deploy.environment_block(pool)
    yield "commands.txt", commands.commands(pool)
    if pool.gramine.trusted:
        yield "server.manifest.template", gramine_manifest.manifest(pool)
    if pool.las.image is not None:
        yield "las.yaml", deploy.las_manifest(pool, namespace)
    if pool.cas.image is not None:
        yield "cas.yaml", deploy.cas_manifest(pool, namespace)


def _of_gramine(pool: Pool) -> list[Finding]:
    return gramine_manifest.check(gramine_manifest.build(pool))


def _key(file: Path) -> Secret:
    try:
        return Secret.from_hex(file.read_text(encoding="ascii").strip(), _KEY_SIZE)
    except (OSError, ValueError) as error:
        raise PoolError(f"cannot use {file}: {error}") from error


def _upload(chosen: argparse.Namespace) -> int:
    print(asyncio.run(_client(chosen).upload(chosen.session.read_text(encoding="utf-8"))))
    return 0


def _exported(chosen: argparse.Namespace) -> int:
    print(asyncio.run(_client(chosen).exported(chosen.session, chosen.secret)))
    return 0


def _client(chosen: argparse.Namespace) -> CasClient:
    files = tls.TlsFiles(
        certificate=chosen.certificate, key=chosen.key, authorities=chosen.authority
    )
    return CasClient(chosen.cas, tls.client_context(files), timeout=_TIMEOUT)


if __name__ == "__main__":
    sys.exit(main())
