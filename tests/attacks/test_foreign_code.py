"""Somebody who runs programs beside a platform asks for what they are not given: channels, keys, orders.

The platform's own account has the operator's rights, and the seal key is its file; but servers, templates, wrapper and
supervisor close themselves to it, so it has to ask for what it is given.
"""

import contextlib
import datetime as dt
import json
import os
import re
import shutil
import ssl
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attestation import sealing
from attestation.soft.keeping import KEYS_FILE
from standby import pki
from standby.identity import Identity, Role
from standby.ids import Uid
from standby.tls import TlsFiles
from tests.attacks import platforms, spy
from tests.attacks.platforms import STRANGER, Platform, spied, yama

_AS_ROOT: Final = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
_DAY: Final = dt.timedelta(days=1)
_TAKING: Final = ("sees what it has open", "opens what it has open", "takes what it has open")
_PRIVATE: Final = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]")
_PARTS: Final = {"operator-local-key.pem", "routing-manager-main-key.pem", "wrapper-w1-key.pem"}
"""Of the platform's own parts: TLS libraries read them from files. Nobody becomes a server by them."""


# --- channels


def test_a_waiting_servers_channel_can_be_taken_where_it_is_not_hardened(
    unhardened: Platform,
) -> None:
    if yama():
        pytest.skip("this kernel's Yama forbids it already")
    for server in _waiting(unhardened):
        learned = spied(unhardened, server, [], unhardened.account)
        assert not [learned[each] for each in _TAKING if isinstance(learned[each], str)]


_ACCOUNTS: Final = pytest.mark.parametrize(
    "account",
    [
        pytest.param(platforms.operator(), id="same-account"),
        pytest.param(STRANGER, id="other-account", marks=_AS_ROOT),
    ],
)


@_ACCOUNTS
def test_a_waiting_servers_channel_cannot_be_taken(hardened: Platform, account: int | None) -> None:
    for server in _waiting(hardened):
        learned = spied(hardened, server, [], account)
        assert {learned[each] for each in _TAKING} == {"EACCES", "EPERM"}


@_ACCOUNTS
def test_nothing_can_be_taken_from_who_has_keys_or_makes_servers(
    hardened: Platform, account: int | None
) -> None:
    kinds = hardened.processes
    for pid in (*kinds["wrapper"], *kinds["supervisor"], *kinds["servers"]):
        learned = spied(hardened, pid, [], account)
        assert {learned[each] for each in _TAKING} == {"EACCES", "EPERM"}


def _waiting(platform: Platform) -> list[int]:
    """The pids of servers that are READY; others have no channel."""
    if os.geteuid() != 0:
        pytest.skip("only root sees which process is which server")
    ready = platform.settled()
    by_directory = {}
    for pid in platform.processes["servers"]:
        with contextlib.suppress(FileNotFoundError):  # an earlier session's, which ends
            by_directory[Path(f"/proc/{pid}/cwd").readlink().name.partition("-")[2]] = pid
    return [by_directory[each] for each in ready]


# --- keys at rest, and in memory


@pytest.fixture
def stolen(hardened: Platform, tmp_path: Path) -> Path:
    """A copy of the state directory, as a backup or a disk that was thrown away; without the program's bytecode."""
    copy = tmp_path / "stolen"
    other = shutil.ignore_patterns("*.sock", "slots", "bytecode")
    shutil.copytree(hardened.state_dir, copy, ignore=other)
    return copy


def test_a_copy_of_the_state_directory_has_no_key_that_certifies_anything(
    hardened: Platform, stolen: Path
) -> None:
    assert {each.name for each in _files(stolen) if _PRIVATE.search(each.read_bytes())} == _PARTS
    kept = [*stolen.glob("pki/*-ca-key.pem"), *stolen.glob("pki/issuer-*-key.pem")]
    kept += [stolen / "trust" / KEYS_FILE, stolen / "audit" / "w1" / "signing.key"]
    assert len(kept) == 6
    wrong, right = sealing.Sealed(os.urandom(32)), sealing.load(_seal_key(hardened))
    for each in kept:
        with pytest.raises(ValueError, match="sealed with another key"):
            wrong.open(each.read_bytes())
        assert right.open(each.read_bytes()), "which is not in the copy"
    scalars = _scalars(hardened)
    for file in _files(stolen):
        content = file.read_bytes()
        assert not [each for each in scalars if each in content], file
    seal_key = _seal_key(hardened).read_bytes().strip()
    assert not [each for each in _files(stolen) if seal_key in each.read_bytes()]


@_AS_ROOT
def test_no_server_has_the_key_that_certifies_servers(hardened: Platform) -> None:
    """Looked at by root, who finds it where it is."""
    scalars = _scalars(hardened)
    assert spy.found(hardened.processes["wrapper"][0], scalars)
    servers = _waiting(hardened)
    assert [spy.found(each, scalars) for each in servers] == [[]] * platforms.POOL_SIZE


def _files(directory: Path) -> list[Path]:
    return [each for each in directory.rglob("*") if each.is_file()]


def _seal_key(platform: Platform) -> Path:
    return Path(f"{platform.state_dir}.seal-key")


def _scalars(platform: Platform) -> list[bytes]:
    """The issuing key's secret number, as it is written and as OpenSSL holds it."""
    sealed = platform.state_dir / "pki" / "issuer-w1-key.pem"
    pem = sealing.load(_seal_key(platform)).open(sealed.read_bytes())
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value
    return [number.to_bytes(32, "big"), number.to_bytes(32, "little")]


# --- orders


class Caller:
    """Somebody who talks to the wrapper, with credentials or without."""

    def __init__(self, platform: Platform, context: ssl.SSLContext) -> None:
        self._context = context
        (listeners,) = platform.endpoints["wrappers"]
        self._plain, self._control = listeners["url"], listeners["control_url"]

    async def order(self, method: str, path: str, *, plain: bool = False) -> str:
        """The code of the refusal, the status if it is none, or that TLS ended the connection."""
        url = self._plain if plain else self._control
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.request(
                    method, f"{url}{path}", json={"size": 2}, ssl=self._context
                ) as response,
            ):
                body = json.loads(await response.read())
        except (aiohttp.ClientConnectionError, aiohttp.ClientOSError):
            return "no connection"
        return str(body["error"]["code"]) if response.status >= 400 else str(response.status)


def _context(platform: Platform, files: TlsFiles | None = None) -> ssl.SSLContext:
    """One that trusts the platform's parts, so that only the caller's side can be refused."""
    context = ssl.create_default_context(cafile=platform.state_dir / "pki" / "parts-ca.pem")
    if files is not None:
        context.load_cert_chain(files.certificate, files.key)
    return context


def _of_part(platform: Platform, name: str) -> TlsFiles:
    directory = platform.state_dir / "pki"
    authority = directory / "parts-ca.pem"
    return TlsFiles(
        certificate=directory / f"{name}.pem",
        key=directory / f"{name}-key.pem",
        authorities=authority,
    )


def _self_made(directory: Path) -> TlsFiles:
    """An operator by his own word."""
    authority = pki.Authority.create("standby parts root", _DAY)
    key = pki.new_key()
    identity = Identity(Role.OPERATOR, Uid("local"))
    leaf = authority.issue(key.public_key(), identity, pki.Usage(client=True), _DAY)
    files = TlsFiles(
        certificate=directory / "own.pem",
        key=directory / "own-key.pem",
        authorities=directory / "own-ca.pem",
    )
    files.certificate.write_bytes(pki.certificate_pem(leaf))
    pki.write_private(files.key, pki.key_pem(key))
    return files


_ORDERS: Final = (
    ("PUT", "/v1/pool"),
    ("POST", "/v1/stop"),
    ("POST", "/v1/drain"),
    ("POST", "/v1/start"),
    ("POST", "/v1/starts"),
    ("PUT", "/v1/users/anna"),
)


@pytest.mark.parametrize(
    ("who", "answer"),
    [
        ("nobody", "no connection"),
        ("a self-made operator", "no connection"),
        ("a customer", "no connection"),
        ("a wrapper of another platform", "no connection"),
        ("this wrapper itself", "wrong_role"),
    ],
)
async def test_the_wrapper_takes_no_orders_from(
    hardened: Platform,
    unhardened: Platform,
    customer: TlsFiles,
    tmp_path: Path,
    who: str,
    answer: str,
) -> None:
    credentials = {
        "nobody": None,
        "a self-made operator": _self_made(tmp_path),
        "a customer": customer,
        "a wrapper of another platform": _of_part(unhardened, "wrapper-w1"),
        "this wrapper itself": _of_part(hardened, "wrapper-w1"),
    }
    caller = Caller(hardened, _context(hardened, credentials[who]))
    before = hardened.settled()
    assert {await caller.order(*each) for each in _ORDERS} == {answer}
    plain = {await caller.order(*each, plain=True) for each in _ORDERS}
    assert plain == {"client_certificate_required"}
    assert before == hardened.settled(), "nobody was stopped"


async def test_the_operator_gives_orders_but_gets_no_certificates_either(
    hardened: Platform,
) -> None:
    """The difference to those above; certificates are given over servers' own channels only."""
    caller = Caller(hardened, _context(hardened, _of_part(hardened, "operator-local")))
    assert await caller.order("PUT", "/v1/pool") == "200"
    for path in ("/v1/certificates", "/v1/attest", "/v1/issue"):
        assert await caller.order("POST", path) == "no_such_endpoint"


@pytest.fixture(scope="module")
def customer(hardened: Platform) -> TlsFiles:
    return hardened.enroll("foreigner").tls
