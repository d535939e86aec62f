"""Nonces: each is one process's, good for one proof and for a minute."""

import secrets
import threading
from dataclasses import dataclass, field
from typing import Final

from attestation.errors import StaleNonceError
from standby.ids import BootId

NONCE_LIFETIME: Final = 60.0
"""Seconds. A proof takes milliseconds; the rest is for a machine under load."""
_NONCE_SIZE: Final = 32


@dataclass(frozen=True)
class Given:
    nonce: bytes = field(repr=False)
    at: float


class Nonces:
    """At most one for each process, and none that is older than its lifetime."""

    def __init__(self) -> None:
        self._given: dict[BootId, Given] = {}
        self._one_at_a_time = threading.Lock()

    def give(self, instance: BootId, now: float) -> bytes:
        fresh = Given(secrets.token_bytes(_NONCE_SIZE), now)
        with self._one_at_a_time:
            live = {each: given for each, given in self._given.items() if _is_live(given, now)}
            self._given = live | {instance: fresh}
        return fresh.nonce

    def take(self, instance: BootId, now: float) -> Given:
        """The one that the process was given, which is used up by that.

        Raises:
            StaleNonceError: there is none, or it is too old.
        """
        with self._one_at_a_time:
            given = self._given.pop(instance, None)
        if given is None or not _is_live(given, now):
            raise StaleNonceError(
                f"no challenge of the last {NONCE_LIFETIME:g} s is open for this process: ask for one"
            )
        return given

    def forget(self, instance: BootId) -> None:
        with self._one_at_a_time:
            self._given.pop(instance, None)


def _is_live(given: Given, now: float) -> bool:
    return 0 <= now - given.at <= NONCE_LIFETIME
