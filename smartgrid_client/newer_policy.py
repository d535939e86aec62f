"""Newer versions of the user's policy: taken if the key beside the policy has signed them, and kept in its file.

`policy-key.pem` beside the policy says that this is wanted. Without it the policy is pinned: no other one is ever used.

Servers pass the platform's newest policy on with their evidence. Who passes it on does not matter, and need not be
verified yet: only the signature counts (`attestation.policy_signing`). So a program that the user's policy does not
know is judged by the newer one, and a meter needs no person for that.

Invariants: the file is replaced as a whole, and never by an older version, also where several clients of a user share
it. A policy that is refused changes nothing, and is reported once. Where the file cannot be written the newer version
counts for this run alone.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from attestation import policy, policy_signing, signed_policy
from attestation.policy import Policy, PolicyError
from attestation.signed_policy import SignedPolicy
from attestation.trust import Trust
from attestation.trust_files import KEY_FILE
from standby import durable


class NewerPolicies:
    """For one policy file; `told` is called with what the user should know."""

    def __init__(self, file: Path, told: Callable[[str], None]) -> None:
        """Read the key beside `file`.

        Raises:
            PolicyError: the key cannot be used.
        """
        self._file = file.resolve()
        self._key_file = file.with_name(KEY_FILE)
        self._key = policy_signing.load_public(self._key_file) if self._key_file.exists() else None
        self._told = told
        self._ignored: SignedPolicy | None = None
        """The last one that changed nothing: most servers send the same."""
        self._reported = False

    def take(self, trust: Trust, offered: SignedPolicy) -> Trust | None:
        """What takes the place of `trust` from now on; None: nothing does."""
        if self._key is None or offered == self._ignored:
            return None
        self._ignored = offered
        try:
            newer = policy_signing.successor(trust, offered, self._key)
        except PolicyError as error:
            self._report(error)
            return None
        if newer is not None:
            self._replace(trust.policy, newer.policy, offered)
        return newer

    def take_file(self, trust: Trust, file: Path) -> Trust | None:
        """As `take`, of a signed policy in a file.

        Raises:
            PolicyError: the file holds no signed policy, or the own policy is pinned.
        """
        offered = signed_policy.load(file)
        if offered is None:
            raise PolicyError(f"{file} holds no signed policy: `standby policy sign` signs one")
        if self._key is None:
            raise PolicyError(
                f"{self._file} is pinned: a newer policy needs its writer's public key, {self._key_file}"
            )
        return self.take(trust, offered)

    def _report(self, error: PolicyError) -> None:
        if not self._reported:
            self._reported = True
            self._told(f"warning: a policy was sent that is not used ({error.code}): {error}")

    def _replace(self, old: Policy, new: Policy, signed: SignedPolicy) -> None:
        text = f"policy version {new.version} replaces version {old.version}, signed by the key in {self._key_file}"
        try:
            with _alone(self._file.parent):
                if self._kept_version() < new.version:
                    mode = self._file.stat().st_mode & 0o777
                    durable.replace(self._file, signed.content, mode)
        except OSError as error:
            text += f"; for this run only: cannot write {self._file} ({error.strerror})"
        self._told(text)

    def _kept_version(self) -> int:
        try:
            return policy.load(self._file).version
        except PolicyError:  # it was damaged since this run began
            return 0


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """No other client replaces a file of this directory meanwhile.

    Raises:
        BlockingIOError: another one does; waiting for it would stop this client's connections.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
