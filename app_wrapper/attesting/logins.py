"""Who may log in at a server: it is bound to one user, and passes on this user's proof.

The nonce is made when the server is bound, and used up by the proof that holds. The pool ends a server whose user does
not log in soon after it was bound, so no proof is good for longer than that (`app_wrapper.lives`).
"""

import secrets
from typing import Final

from app_wrapper.attesting.attended import Attended, Tell
from app_wrapper.attesting.users import LoginProofError, Place, Users
from app_wrapper.events import Bound, Proved
from attestation.issuing import messages
from attestation.issuing.messages import NONCE_SIZE, LoginProof
from standby.errors import ForbiddenError
from standby.ids import Uid

MOST_PROOFS: Final = 16
"""Of one server; a user whose proof does not hold comes to another one next."""


class OtherUserError(ForbiddenError):
    """A server is one user's."""

    code = "other_user"


def bind(server: Attended, uid: Uid, tell: Tell) -> messages.Bound:
    """The server reads requests of `uid` from now on.

    Raises:
        OtherUserError: it is bound to another user, or its user has logged in.
    """
    tell(Bound(uid))  # also of a second user: what follows from that is the pool's decision
    if server.bound is None:
        server.bound, server.nonce = uid, secrets.token_bytes(NONCE_SIZE)
    if server.bound != uid or server.nonce is None:
        raise OtherUserError("a server is bound once, to the user who comes first")
    return messages.Bound(server.nonce)


def prove(server: Attended, proof: LoginProof, users: Users, tell: Tell) -> messages.Proved:
    """Verify that the user to whom the server is bound logs in there.

    Raises:
        LoginProofError: that is not shown.
        AuthoritiesError: nothing can be verified now.
    """
    server.proofs += 1
    if server.proofs > MOST_PROOFS:
        raise LoginProofError(
            f"{MOST_PROOFS} proofs of this server were looked at, and no more are"
        )
    uid, nonce, key = server.bound, server.nonce, server.public_key
    if uid is None or nonce is None or key is None:
        raise LoginProofError("a proof is for one LOGIN, at a server that is bound to its user")
    place = Place(server.boot_id, key, nonce)
    users.check(uid, proof.certificate, proof.signature, place)
    server.nonce = None
    tell(Proved(uid))
    return messages.Proved()
