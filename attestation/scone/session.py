"""The SCONE session of a pool: who may start as its server, what such a server sees, and who may change that.

One session has one service, `server`; a standby server is one instance of it.
- Any variant of `attestation` admits; a variant is one MRENCLAVE together with the signer, if both are given.
- `singleton_enclaves`: an enclave is attested once and for one session, as a server process serves one user once.
- Command, environment and files come from the session. What must come from the host (a port, a boot id) is named
  there as `@@NAME`, so a reader of the session sees all that a host can influence.
- What a server is given to be known by is an issuing authority: its certificate and key are injected, in the enclave's
  memory only, and with them it mints the certificates it shows its users, as a server started by hand does. Its own
  authority, `servers_ca`, never leaves CAS but for its certificate, which is exported publicly: whoever has attested
  the CAS, read the session and trusts that certificate knows that a server with a certificate below it is an enclave
  that the session admits. Neither key is exported to any other session.
- The key of `servers_ca` migrates to the next version of the session, so that clients need not be told of it. The
  issuer's does not: a version that drops a measurement makes another one.
- All instances of a service get the same issuer, because certificates are values of the session. So a server that is
  broken into could be mistaken for any other of its pool until the issuer's certificate ends, where the platform's own
  attestation gives each server an authority of its own for half an hour.
- A user's database key is not here. The user brings it.
- A volume has one key and one newest tag for the whole session, so only one instance at a time can write to it. Users'
  databases of a pool of several servers are therefore not SCONE volumes: they are kept apart by their users' keys, and
  their freshness is checked by the platform. (Inferred from the documentation of volumes; not tried.)

`SCONE_ALLOW_DLOPEN=1` is set because Python loads its C extensions at run time; it admits libraries of a protected file
system only, which SCONE's own tools make (`pool.filesystem`).

Not promised: that a CAS accepts it. None was at hand; `grammar` checks it against the published language.
"""

from typing import Final

from attestation.scone.pool import IDENTITY_DIRECTORY, Pool, PoolError
from attestation.scone.writing import Data, Value, yaml_text
from standby.secret import Secret

VERSION: Final = "0.3.12"
SERVICE: Final = "server"
IDENTITY_CERTIFICATE: Final = f"{IDENTITY_DIRECTORY}/issuer.pem"
IDENTITY_KEY: Final = f"{IDENTITY_DIRECTORY}/issuer-key.pem"
AUTHORITY: Final = "servers_ca"
"""The secret whose certificate clients trust."""
_IMAGE: Final = "server-image"
_VALID_FOR: Final = "30d"
"""Of the issuer. CAS makes the next one in time, but a server that runs keeps what it was given at its start: the limit
is above the time a server waits for its user, and as short as that allows."""
_LONGEST_NAME: Final = 64 - len(" servers issuer")
"""A common name has 64 characters at most (RFC 5280, appendix A: ub-common-name)."""


def config_id(pool: Pool) -> str:
    """What a program names to be given this session."""
    return f"{pool.session}/{SERVICE}"


def text(pool: Pool, filesystem_key: Secret | None = None) -> str:
    """The session as YAML; with a `filesystem_key` it holds a secret.

    Raises:
        PoolError: as `build`.
    """
    return yaml_text(build(pool, filesystem_key))


def build(pool: Pool, filesystem_key: Secret | None = None) -> dict[str, Value]:
    """The session as data; `filesystem_key` opens the protected file system, if the pool has one.

    Raises:
        PoolError: the pool has a protected file system and no key is given, or the other way round.
    """
    head: dict[str, Value] = {"name": pool.session, "version": VERSION}
    if pool.predecessor is not None:
        head["predecessor"] = pool.predecessor
    return head | {
        "security": _security(pool),
        "access_policy": {
            "read": pool.access.read,
            "update": pool.access.update,
            "create_sessions": ["NONE"],
            "list_sessions": ["NONE"],
        },
        "secrets": _secrets(pool),
        "images": [_image(pool)],
        "volumes": [{"name": each.name} for each in pool.volumes],
        "services": [_service(pool, filesystem_key)],
    }


def _security(pool: Pool) -> Data:
    attestation: dict[str, Value] = {"mode": "hardware"}
    if pool.tolerate:
        attestation["tolerate"] = pool.tolerate
    if pool.ignore_advisories:
        attestation["ignore_advisories"] = pool.ignore_advisories
    return {"attestation": attestation, "singleton_enclaves": True}


def _secrets(pool: Pool) -> list[Value]:
    name = pool.name[:_LONGEST_NAME]
    return [
        _key("servers_ca_key", migrate=True),
        {
            "name": AUTHORITY,
            "kind": "x509-ca",
            "private_key": "servers_ca_key",
            "common_name": f"{name} servers",
            "export_public": True,
        },
        _key("issuer_key", migrate=False),
        {
            "name": "issuer",
            "kind": "x509-ca",
            "private_key": "issuer_key",
            "issuer": AUTHORITY,
            "common_name": f"{name} servers issuer",
            "valid_for": _VALID_FOR,
        },
    ]


def _key(name: str, *, migrate: bool) -> Data:
    return {"name": name, "kind": "private-key", "key_type": "P-256", "migrate": migrate}


def _image(pool: Pool) -> Data:
    injected = {
        IDENTITY_CERTIFICATE: "$$SCONE::issuer:crt$$",
        IDENTITY_KEY: "$$SCONE::issuer:privatekey$$",
    } | pool.files
    return {
        "name": _IMAGE,
        "volumes": [
            {"name": each.name, "path": each.path, "update_policy": each.update_policy.value}
            for each in pool.volumes
        ],
        "injection_files": [{"path": path, "content": each} for path, each in injected.items()],
    }


def _service(pool: Pool, filesystem_key: Secret | None) -> Data:
    service: dict[str, Value] = {
        "name": SERVICE,
        "image_name": _IMAGE,
        "attestation": _variants(pool),
        "command": pool.command,
        "pwd": "/",
        "environment": pool.environment.set
        | _identity(pool)
        | {name: f"@@{name}" for name in pool.environment.host}
        | {"SCONE_ALLOW_DLOPEN": "1"},
    }
    if pool.platforms:
        service["platforms"] = pool.platforms
    return service | _filesystem(pool, filesystem_key)


def _identity(pool: Pool) -> dict[str, str]:
    if pool.identity is None:
        return {}
    return {pool.identity.certificate: IDENTITY_CERTIFICATE, pool.identity.key: IDENTITY_KEY}


def _variants(pool: Pool) -> list[Value]:
    signed: dict[str, Value] = {}
    if pool.signer is not None:
        signed["signer"] = {
            "mrsigner": pool.signer.mrsigner,
            "isvprodid": pool.signer.isvprodid,
            "isvsvn_min": pool.signer.isvsvn_min,
        }
    if not pool.mrenclave:
        return [signed]
    return [{"mrenclave": each} | signed for each in pool.mrenclave]


def _filesystem(pool: Pool, key: Secret | None) -> dict[str, Value]:
    if (pool.filesystem is None) != (key is None):
        raise PoolError(
            "a protected file system and its key go together: "
            + ("the pool describes none" if pool.filesystem is None else "the key is missing")
        )
    if pool.filesystem is None or key is None:
        return {}
    return {
        "fspf_path": pool.filesystem.path,
        "fspf_key": key.reveal().hex(),
        "fspf_tag": pool.filesystem.tag,
    }
