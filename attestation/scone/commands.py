"""Command lines for a pool, in the order in which they are needed: SCONE's own tools, Docker, and our upload.

They are for a person to read and to run one by one: what follows from an answer (a measurement, a hash) has to be
written into `pool.toml` in between, and which weaknesses of a CAS to accept is a decision. Names and options are those
of the documentation of SCONE 7.0; none of them was ever run here.
"""

import shlex
from typing import Final

from attestation.scone.deploy import CAS_CLIENT_PORT
from attestation.scone.pool import Pool
from attestation.scone.session import AUTHORITY

_DEVICE: Final = ("--device", "/dev/sgx_enclave")
_OWNER: Final = ("--certificate", "owner.pem", "--key", "owner-key.pem")
_ATTESTED: Final = "cas-certificate.pem"


def commands(pool: Pool) -> str:
    """The lines, with a comment before each group."""
    steps = (
        ("Attest the CAS before you trust it. CAS_MRENCLAVE: what SCONE publishes for it.", _cas),
        (
            "Build the image, and ask it for its measurement. PROJECT: the project's directory.",
            _image,
        ),
        ("Check the session, and put it into the CAS; keep the hash that is printed.", _session),
        ("What clients trust instead of the platform's own servers' authority.", _authority),
        ("One server by hand, to see that it starts.", _server),
    )
    return "\n".join(f"# {why}\n{_lines(each(pool))}" for why, each in steps)


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _cas(pool: Pool) -> list[str]:
    attest = _line("scone", "cas", "attest", pool.cas.address)
    return [
        f'{attest} --mrenclave "$CAS_MRENCLAVE"',
        f"scone cas show-certificate > {_ATTESTED}",
    ]


def _image(pool: Pool) -> list[str]:
    return [
        f'{_line("docker", "build", "-t", pool.image, "-f", "Dockerfile")} "$PROJECT"',
        _line("docker", "run", "--rm", *_DEVICE, "-e", "SCONE_HASH=1", pool.image),
    ]


def _session(pool: Pool) -> list[str]:
    return ["scone session check session.yaml", _ours(pool, "upload", "session.yaml")]


def _authority(pool: Pool) -> list[str]:
    return [f"{_ours(pool, 'exported', pool.session, AUTHORITY)} > ca.pem"]


def _server(pool: Pool) -> list[str]:
    chosen = [part for name in pool.environment.host for part in ("-e", name)]
    run = ("docker", "run", "--rm", "-i", "--network", "host", *_DEVICE, "--env-file", "scone.env")
    return [_line(*run, *chosen, pool.image)]


def _ours(pool: Pool, *words: str) -> str:
    url = f"https://{pool.cas.address.partition(':')[0]}:{CAS_CLIENT_PORT}"
    command = ("python", "-m", "attestation.scone", *words)
    return _line(*command, "--cas", url, *_OWNER, "--authority", _ATTESTED)


def _line(*words: str) -> str:
    return shlex.join(words)
