"""Texts around a pool of SCONE enclaves: image, environment of a server, and the two services SCONE needs.

The image is built from a whole directory, so `dockerignore` keeps out what must never be in an image: keys, and the
session, which may hold one. BuildKit reads it because of its name, `Dockerfile.dockerignore`.

- LAS, the local attestation service, runs once on every machine with SGX (a DaemonSet); servers reach it there.
- CAS, the configuration and attestation service, keeps sessions, keys and the tags that protect volumes from rollback
  (a StatefulSet with one replica, because two of them would keep two truths about the newest tag).

The host chooses what is in the environment block, and can change it; that is safe because CAS gives the session only to
the enclave that the session names. `SCONE_HEAP` and `SCONE_STACK` enter MRENCLAVE, so the image has them, too, and
`docker run --rm -e SCONE_HASH=1 IMAGE` prints the hash for these sizes. `SCONE_MODE=hw`, because without it a server
would silently run outside an enclave where there is none.

Resource names (`sgx.intel.com/…`) and the node's label are those of Intel's device plugin and node feature rules.
"""

import json
from typing import Final

from attestation.scone import session
from attestation.scone.pool import Pool, PoolError
from attestation.scone.writing import Data, yaml_text

LAS_PORT: Final = 18766
CAS_CLIENT_PORT: Final = 8081
CAS_ENCLAVE_PORT: Final = 18765
_MODE: Final = "hw"
_SGX_NODES: Final = {"intel.feature.node.kubernetes.io/sgx": "true"}
_HOST_ADDRESS: Final[Data] = {"fieldRef": {"fieldPath": "status.hostIP"}}
_NOT_IN_THE_IMAGE: Final = (
    *(".git", ".venv", ".cache", "tests", "docs", "bench", "**/__pycache__"),
    *("**/*-key.pem", "**/*.key", "**/*.keys", "**/*.seal-key", "**/session.yaml"),
)
_CONFINED: Final[Data] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def dockerfile(pool: Pool) -> str:
    """The image of a pool's servers, to be built in the project's directory."""
    command = json.dumps(pool.command)
    return f"""\
# Servers of pool {pool.name}. Build in the project's directory: docker build -t {pool.image} -f Dockerfile .
FROM {pool.base}
WORKDIR /app
COPY requirements.txt ./
RUN pip install --no-cache-dir --require-hashes -r requirements.txt
COPY . .
RUN pip install --no-cache-dir --no-deps .
# These enter MRENCLAVE. What else a server needs comes with its session.
ENV SCONE_MODE={_MODE} SCONE_HEAP={pool.heap} SCONE_STACK={pool.stack}
ENTRYPOINT {command}
"""


def dockerignore() -> str:
    """What `COPY . .` leaves out."""
    return "".join(f"{each}\n" for each in _NOT_IN_THE_IMAGE)


def environment(pool: Pool) -> dict[str, str]:
    """What SCONE reads before there is a session; the rest of a server's environment is in the session."""
    return {
        "SCONE_MODE": _MODE,
        "SCONE_HEAP": pool.heap,
        "SCONE_STACK": pool.stack,
        "SCONE_CAS_ADDR": pool.cas.address,
        "SCONE_LAS_ADDR": pool.las.address,
        "SCONE_CONFIG_ID": session.config_id(pool),
    }


def environment_block(pool: Pool) -> str:
    """`environment` in lines, as `docker run --env-file` and systemd's `EnvironmentFile` read them."""
    return "".join(f"{name}={value}\n" for name, value in environment(pool).items())


def las_manifest(pool: Pool, namespace: str) -> str:
    """A DaemonSet that runs LAS on every machine with SGX.

    Raises:
        PoolError: the description names no image.
    """
    if pool.las.image is None:
        raise PoolError("las.image: needed for a manifest")
    container: Data = {
        "name": "las",
        "image": pool.las.image,
        "env": [{"name": "SCONE_MODE", "value": _MODE}],
        "ports": [{"name": "las", "containerPort": LAS_PORT, "hostPort": LAS_PORT}],
        # quotes are made with the provisioning device; other enclaves must not have it
        "resources": {"limits": {"sgx.intel.com/enclave": "1", "sgx.intel.com/provision": "1"}},
        "securityContext": _CONFINED,
    }
    return yaml_text(_workload("DaemonSet", "las", namespace, container))


def cas_manifest(pool: Pool, namespace: str, storage: str = "1Gi") -> str:
    """A StatefulSet of one CAS with a volume for its state, and the service that names it.

    Raises:
        PoolError: the description does not name the image, or where it keeps its state.
    """
    if pool.cas.image is None or pool.cas.database is None:
        raise PoolError("cas.image, cas.database: both are needed for a manifest")
    container: Data = {
        "name": "cas",
        "image": pool.cas.image,
        "env": [
            {"name": "SCONE_MODE", "value": _MODE},
            {"name": "SCONE_LAS_ADDR", "valueFrom": _HOST_ADDRESS},
        ],
        "ports": [
            {"name": "client", "containerPort": CAS_CLIENT_PORT},
            {"name": "enclave", "containerPort": CAS_ENCLAVE_PORT},
        ],
        "resources": {"limits": {"sgx.intel.com/enclave": "1"}},
        "securityContext": _CONFINED,
        "volumeMounts": [{"name": "state", "mountPath": pool.cas.database}],
    }
    workload = _workload("StatefulSet", "cas", namespace, container, _cas_parts(storage))
    return yaml_text(_cas_service(namespace), workload)


def _cas_parts(storage: str) -> Data:
    claim: Data = {
        "metadata": {"name": "state"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": storage}},
        },
    }
    return {"serviceName": "cas", "replicas": 1, "volumeClaimTemplates": [claim]}


def _cas_service(namespace: str) -> Data:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "cas", "namespace": namespace},
        "spec": {
            "selector": {"app": "cas"},
            "ports": [
                {"name": "client", "port": CAS_CLIENT_PORT},
                {"name": "enclave", "port": CAS_ENCLAVE_PORT},
            ],
        },
    }


def _workload(
    kind: str, name: str, namespace: str, container: Data, parts: Data | None = None
) -> Data:
    labels: Data = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            **(parts or {}),
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "automountServiceAccountToken": False,
                    "nodeSelector": _SGX_NODES,
                    "containers": [container],
                },
            },
        },
    }
