"""What is sealed can be read and changed by the key's owner only; keys are made once and are on disk."""

import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from attestation import sealing
from attestation.sealing import Sealed
from attestation.soft.keeping import KEYS_FILE
from attestation.soft.platform import SoftPlatform
from standby.seal import PLAIN, Seal

_KEY = bytes(range(32))
_SEAL = Sealed(_KEY)
_HEADER = b"standby sealed 1\n"


@given(st.binary(max_size=300))
def test_what_was_closed_can_be_opened(content: bytes) -> None:
    sealed = _SEAL.close(content)
    assert Sealed(_KEY).open(sealed) == content
    assert len(sealed) == len(content) + len(_HEADER) + 12 + 16


def test_the_content_does_not_show_and_the_same_is_never_written_twice() -> None:
    content = b"-----BEGIN PRIVATE KEY-----"
    sealed = {_SEAL.close(content) for _ in range(50)}
    assert len(sealed) == 50
    assert not any(content in each for each in sealed)


def test_it_is_aes_gcm_with_the_header_authenticated() -> None:
    """So that others can read it, with the format that the module's docstring states."""
    sealed = _SEAL.close(b"content")
    assert sealed.startswith(_HEADER)
    nonce, rest = sealed[len(_HEADER) :][:12], sealed[len(_HEADER) + 12 :]
    assert AESGCM(_KEY).decrypt(nonce, rest, _HEADER) == b"content"


def test_a_change_of_any_byte_is_noticed() -> None:
    sealed = _SEAL.close(b"content")
    for at in range(len(sealed)):
        changed = bytearray(sealed)
        changed[at] ^= 0x80
        with pytest.raises(ValueError, match="sealed"):
            _SEAL.open(bytes(changed))


def test_what_was_cut_or_grew_is_refused() -> None:
    sealed = _SEAL.close(b"content")
    for other in (*(sealed[:size] for size in range(len(sealed))), sealed + b"\0", sealed + sealed):
        with pytest.raises(ValueError, match="sealed"):
            _SEAL.open(other)


def test_another_key_opens_nothing() -> None:
    with pytest.raises(ValueError, match="sealed with another key, or changed"):
        Sealed(bytes(32)).open(_SEAL.close(b"content"))


def test_what_was_never_sealed_is_called_that() -> None:
    with pytest.raises(ValueError, match="not sealed"):
        _SEAL.open(b"-----BEGIN PRIVATE KEY-----")


def test_a_seal_shows_no_key() -> None:
    assert repr(_SEAL) == "<seal>"


# --- the seal's key


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "new" / ".seal-key"
    sealed = sealing.load_or_create(file).close(b"content")
    assert sealing.load_or_create(file).open(sealed) == b"content"
    assert sealing.load(file).open(sealed) == b"content"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(bytes.fromhex(file.read_text().strip())) == 32
    assert [each.name for each in file.parent.iterdir()] == [".seal-key"]


def test_all_that_make_the_key_at_once_get_the_same(tmp_path: Path) -> None:
    together = threading.Barrier(8, timeout=30)
    seals: list[Sealed] = []

    def make() -> None:
        together.wait()
        seals.append(sealing.load_or_create(tmp_path / "key"))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    sealed = seals[0].close(b"content")
    assert [each.open(sealed) for each in seals] == [b"content"] * 8


def test_there_is_no_seal_without_a_key(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sealing.load(tmp_path / "key")


@pytest.mark.parametrize("text", ["", "00" * 31, "00" * 33, "zz" * 32, "é" * 32, "0" * 63])
def test_something_else_is_no_key_and_is_not_quoted(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    for load in (sealing.load, sealing.load_or_create):
        with pytest.raises(ValueError, match="64 hex digits are expected") as refused:
            load(tmp_path / "key")
        assert not text or text not in str(refused.value)
    assert (tmp_path / "key").read_text() == text


# --- what is kept sealed


def test_a_signing_key_is_made_once_and_kept_sealed(tmp_path: Path) -> None:
    file = tmp_path / "audit" / "signing.key"
    key = sealing.signing_key(file, _SEAL)
    assert sealing.signing_key(file, _SEAL).public_key() == key.public_key()
    assert key.private_bytes_raw() not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_signing_key_is_never_replaced_by_a_new_one(tmp_path: Path) -> None:
    file = tmp_path / "signing.key"
    sealing.signing_key(file, _SEAL)
    content = file.read_bytes()
    with pytest.raises(ValueError, match="another key"):
        sealing.signing_key(file, Sealed(bytes(32)))
    assert file.read_bytes() == content


def test_something_else_under_the_seal_is_no_signing_key(tmp_path: Path) -> None:
    (tmp_path / "signing.key").write_bytes(_SEAL.close(b"short"))
    with pytest.raises(ValueError, match="32 bytes"):
        sealing.signing_key(tmp_path / "signing.key", _SEAL)


def test_a_simulated_platform_is_kept_sealed(tmp_path: Path) -> None:
    platform = SoftPlatform.create()
    platform.save(tmp_path, _SEAL)
    assert b"PRIVATE" not in (tmp_path / KEYS_FILE).read_bytes()
    assert SoftPlatform.load(tmp_path, _SEAL).root_pem == platform.root_pem
    for other in (Sealed(bytes(32)), PLAIN):
        with pytest.raises(ValueError, match=r"."):
            SoftPlatform.load(tmp_path, other)


def test_a_seal_is_what_the_kernel_calls_one() -> None:
    seal: Seal = _SEAL
    assert PLAIN.open(PLAIN.close(b"content")) == b"content"
    assert seal.open(seal.close(b"content")) == b"content"
