"""What the files are called by which a verifier goes (`trust`), wherever the platform or a user keeps them."""

from typing import Final

POLICY_FILE: Final = "policy.toml"
ROOT_FILE: Final = "simulated-root.pem"
"""The certificate of a simulated platform's root: what verifiers pin. Everybody may read it."""
KEY_FILE: Final = "policy-key.pem"
"""The public key of the policy's writer. A verifier that has it takes newer versions that this key signed; one that has
none keeps its policy."""
