"""Whether the server at the other end of a TLS connection may have this user's key: decided before it gets anything.

A challenge of 32 random bytes goes out; the answer is evidence about the process, with claims that name the challenge
and a key. Four things must fit together: the evidence is true under the pinned root, the claims are the attested ones,
the challenge is this one, and the key is that of the certificate which was shown on this very connection. TLS has shown
that the other end holds that key, so a third party that passes evidence on from somebody else has another key.

The certificate has to carry evidence of its own, too, with claims about its key. Only that binding is checked. To
verify this second evidence would cost as much as verifying the first and would show nothing that the first has not
shown: it is about the same key, it is older, and its nonce is somebody else's.

The collateral may come from the server, because it is signed under the pinned root; its dates are compared with this
machine's clock. A server can choose an old copy as long as that has not run out. Who wants the newest passes a file.

Not promised: a verified server is one that the policy admits, no more. With the root of a simulated platform that says
nothing against whoever runs the machine. Claims that name the TLS connection itself (`tls_binder`) are not asked for,
because Python's ssl module cannot export keying material; the key does its work as long as it stays in one process.
"""

import secrets
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from attestation import binding, extension, policy, quote
from attestation.appraisal import Appraised, Shown, appraise
from attestation.claims import Claims, Root
from attestation.collateral import Collateral
from attestation.errors import (
    AttestationError,
    BadEvidenceError,
    CollateralUnavailableError,
    NoEvidenceError,
    NotAdmittedError,
    UntrustedRootError,
)
from attestation.evidence import Evidence
from attestation.policy import Policy, Reason, Refusal
from attestation.trust import Trust
from smartgrid_client.admission import Admitted, Difference, NotAdmitted, PolicyName
from smartgrid_client.errors import (
    ClientError,
    NotAllowedError,
    NotAttestedError,
    NotNowError,
    NotVerifiedError,
    RefusedError,
    ServerFailedError,
    UnansweredError,
    UnexpectedAnswerError,
)
from smartgrid_client.messages import Shown as Answer
from smartgrid_client.newer_policy import NewerPolicies

CHALLENGE: Final = 32
"""Bytes; two are never the same."""


class Challenge(Struct, frozen=True):
    nonce: bytes
    made_at: float
    """Unix seconds of this machine's clock; the evidence cannot be older."""


class Verifier:
    """Judges servers by the user's policy; holds no state of connections, so several clients may share one."""

    def __init__(
        self,
        trust: Trust,
        collateral: Collateral | None = None,
        newer: NewerPolicies | None = None,
    ) -> None:
        """`collateral`: the user's own copy; without one, each server's is used. `newer`: None pins the policy."""
        self._collateral = collateral
        self._newer = newer
        self._go_by(trust)

    @property
    def simulated(self) -> bool:
        """Whether what it admits proves nothing against who runs the machine."""
        return self._trust.policy.root is Root.SIMULATED

    def _go_by(self, trust: Trust) -> None:
        self._trust = trust
        self._name = PolicyName(version=trust.policy.version, digest=policy.digest(trust.policy))

    def challenge(self, now: float) -> Challenge:
        """A new one; `now` is Unix seconds."""
        return Challenge(secrets.token_bytes(CHALLENGE), now)

    def judge(
        self, challenge: Challenge, answer: Answer, certificate: bytes, now: float
    ) -> Admitted:
        """What is known of the server now, by the newest policy that the user's key has signed.

        Args:
            challenge: that this answer should be for
            answer: of the server
            certificate: that the server showed on the connection which the answer came over, in DER
            now: Unix seconds, by the clock of the challenge

        Raises:
            NotAttestedError: the server may not have anything.
        """
        self._renew(answer)
        try:
            claims, decision = self._appraise(challenge, answer, certificate, now)
        except NotAdmittedError as error:
            raise self._refusal(error, tuple(self._differences(error))) from error
        except AttestationError as error:
            raise self._refusal(error) from error
        return Admitted(
            variant=decision.variant,
            measurement=claims.mrenclave,
            root=claims.root,
            tcb_status=claims.tcb_status,
            policy=self._name,
        )

    def unproven(self, error: ClientError, certificate: bytes | None) -> ClientError:
        """What it means that the challenge was not answered with evidence.

        A server whose certificate (in DER) carries none will not have any later either.
        """
        try:
            if certificate is not None:
                attested_key(certificate)
        except AttestationError as refused:
            return self._refusal(refused)
        match error:
            case UnansweredError() | NotNowError() | ServerFailedError():
                return NotVerifiedError(error)
            case NotAllowedError():
                return error  # of the caller, not of the server: another user's certificate, say
            case UnexpectedAnswerError():
                return self._refusal(BadEvidenceError(str(error)))
            case RefusedError():
                text = f"the server gives no evidence about itself ({error.reason}: {error})"
                return self._refusal(NoEvidenceError(text))
            case _:
                return error

    def _renew(self, answer: Answer) -> None:
        """Go by the policy in the answer from now on, if it is signed and newer."""
        if self._newer is None or answer.policy is None:
            return
        newer = self._newer.take(self._trust, answer.policy)
        if newer is not None:
            self._go_by(newer)

    def _appraise(
        self, challenge: Challenge, answer: Answer, certificate: bytes, now: float
    ) -> Appraised:
        evidence = Evidence(answer.format, answer.evidence)
        shown = Shown(evidence, answer.claims, attested_key(certificate))
        return appraise(
            self._trust,
            shown,
            self._collateral or _sent(answer),
            nonce=challenge.nonce,
            made_at=challenge.made_at,
            now=now,
        )

    def _refusal(
        self, error: AttestationError, reasons: tuple[Difference, ...] = ()
    ) -> NotAttestedError:
        text = "the policy does not admit this server" if reasons else _said(error)
        report = NotAdmitted(code=error.code, text=text, reasons=reasons, policy=self._name)
        return NotAttestedError(report)

    def _differences(self, error: NotAdmittedError) -> Iterator[Difference]:
        for reason in error.decision.reasons:
            expected, found = _in_full(self._trust.policy, reason, error.claims)
            yield Difference(
                what=reason.refusal.value, expected=expected, found=found, variant=reason.variant
            )


def attested_key(certificate: bytes) -> bytes:
    """The key (SubjectPublicKeyInfo in DER) of a certificate (DER) that carries evidence which names this key.

    Raises:
        AttestationError: there is no such evidence in it; whether it is true is not looked at.
    """
    attached = extension.of_certificate(certificate)
    report = quote.parse(attached.evidence.data).report
    binding.check(
        attached.claims,
        report.report_data,
        public_key=attached.public_key,
        nonce=None,
        tls_binder=None,
        instance=None,
    )
    return attached.public_key


def _said(error: AttestationError) -> str:
    """For the user: of a wrong root without the library's words, which name no more than where it noticed."""
    if not isinstance(error, UntrustedRootError):
        return str(error)
    words = str(error.__cause__ or "").removeprefix("Verification failed: ").split()
    return str(error).removesuffix(f" ({' '.join(words)})")


def _sent(answer: Answer) -> Collateral:
    if answer.collateral is None:
        raise CollateralUnavailableError(
            "the server sends no collateral along: pass a file that was fetched for its platform (--collateral)"
        )
    return Collateral.from_json(answer.collateral)


def _in_full(wanted: Policy, reason: Reason, claims: Claims) -> tuple[str, str]:
    """Expected and found; a policy's own texts cut measurements short."""
    variant = next((each for each in wanted.variants if each.name == reason.variant), None)
    if variant is not None and variant.mrenclave and reason.refusal is Refusal.MRENCLAVE:
        return " or ".join(variant.mrenclave), claims.mrenclave
    if variant is not None and variant.signer and reason.refusal is Refusal.MRSIGNER:
        return variant.signer.mrsigner, claims.mrsigner
    return reason.expected, reason.found
