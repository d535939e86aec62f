"""What a verifier goes by: a policy, and the root whose signature counts.

Both come from files that the verifier's owner put there, never from the peer. A simulated platform's root is pinned by
a certificate beside the policy; Intel's is known to the library, and nothing beside the policy can replace it.
"""

from pathlib import Path

from msgspec import Struct

from attestation import lint, policy
from attestation.claims import Root
from attestation.policy import Policy, PolicyError
from attestation.trust_files import ROOT_FILE
from attestation.verify import INTEL, PinnedRoot


class Trust(Struct, frozen=True):
    policy: Policy
    root: PinnedRoot


def load(policy_file: Path) -> Trust:
    """The policy in a file, with its root.

    Raises:
        PolicyError: one of the two cannot be read or is something else, or the policy is worthless.
    """
    found = policy.load(policy_file)
    lint.refuse_worthless(found)
    if found.root is Root.INTEL:
        return Trust(found, INTEL)
    return Trust(found, _simulated(policy_file.with_name(ROOT_FILE)))


def _simulated(file: Path) -> PinnedRoot:
    try:
        return PinnedRoot.simulated(file.read_bytes())
    except FileNotFoundError as error:
        raise PolicyError(
            f"there is no {file} beside the policy: `standby enroll` puts both into a user's directory, copy it"
        ) from error
    except (OSError, ValueError) as error:
        raise PolicyError(
            f"the policy trusts a simulated root, and {file} is not its certificate: {error}"
        ) from error
