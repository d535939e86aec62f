r"""`policy.toml`: which processes may have secrets.

    version = 3                          # grows with each change
    root = "intel"                       # whose signature counts; "simulated" must be said, too
    one_user_per_process = true          # nothing else can be had; it is here so that it is said
    maximum_evidence_age_seconds = 600
    accepted_tcb = ["UpToDate", "SWHardeningNeeded"]
    ignored_advisories = ["INTEL-SA-00615"]   # known, and harmless to this program
    refused_advisories = ["INTEL-SA-00233"]
    testing = false

    [[variant]]                          # one of the variants must hold …
    name = "smartgrid 1.4"
    mrenclave = ["3a…"]                  # … and of a variant everything that it names: any of these …
    signer = { mrsigner = "5b…", product_id = 1, minimum_svn = 4 }   # … and signed like this

What holds for all variants: an advisory that the platform is open to refuses, unless it is ignored; a refused one
always does, even where all (`*`) are ignored. So an advisory that nobody has thought about yet refuses, and the two
lists show a contradiction instead of settling it. A debug enclave is refused unless the policy says both `testing` and
`admit_debug`, and evidence whose age nobody knows is refused as if it were too old.

Deciding is pure and says every reason, so that one look tells what to change. Measurements are no secrets, but logs
blank whatever has 64 hex digits; texts therefore show the first 16 of them, and the claims beside a verdict show all.

Not decided here: whether a policy is worth anything (`attestation.lint`), and whether the evidence is true and the
peer's (`attestation.verify`, `attestation.binding`). Rejected: a language for policies such as Rego; what may be asked
of a server fits in a dozen fields, and a table is easier to get right.
"""

import hashlib
from collections.abc import Collection, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from attestation.claims import Claims, Number, Root, TcbStatus
from standby import decode
from standby.decode import UnreadableError
from standby.errors import BadRequestError
from standby.ids import LARGEST

ALL: Final = "*"
"""Among the ignored advisories: every advisory."""
SHOWN_DIGITS: Final = 16

# `$` alone would accept a trailing newline.
_MEASUREMENT: Final = r"^[0-9a-f]{64}$(?!\n)"
_ADVISORY: Final = r"^INTEL-[A-Z]+-[0-9]{5}$(?!\n)"
_ADVISORY_OR_ALL: Final = r"^(INTEL-[A-Z]+-[0-9]{5}|\*)$(?!\n)"
_NAME: Final = r"^[\w .:/+-]{1,100}$(?!\n)"
_IN_WORDS: Final = {
    _MEASUREMENT: "64 hex digits in lower case",
    _ADVISORY: 'an advisory such as "INTEL-SA-00615"',
    _ADVISORY_OR_ALL: 'an advisory such as "INTEL-SA-00615", or "*"',
    _NAME: "a name of up to 100 letters, digits, spaces and . : / + - _",
}

Measurement = Annotated[str, Meta(pattern=_MEASUREMENT)]


class PolicyError(BadRequestError):
    """The file is no policy; the text names the file and the place in it."""

    code = "policy_invalid"


class Signer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mrsigner: Measurement
    product_id: Number
    minimum_svn: Number | None = None
    """Without one, every version that was ever signed is admitted, with all its old faults."""


class Variant(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that it names must hold."""

    name: Annotated[str, Meta(pattern=_NAME)]
    mrenclave: Annotated[tuple[Measurement, ...], Meta(min_length=1)] | None = None
    """Any of these; None: not asked."""
    signer: Signer | None = None


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the variants must hold, and everything else here."""

    version: Annotated[int, Meta(ge=1, le=9_999_999_999)]
    """It is in the name of the issuing authority, which has at most 64 bytes."""
    root: Root
    one_user_per_process: bool
    maximum_evidence_age_seconds: Annotated[int, Meta(ge=1, le=LARGEST)]
    accepted_tcb: Annotated[tuple[TcbStatus, ...], Meta(min_length=1)]
    variants: Annotated[tuple[Variant, ...], Meta(min_length=1)] = msgspec.field(name="variant")
    refused_advisories: tuple[Annotated[str, Meta(pattern=_ADVISORY)], ...] = ()
    ignored_advisories: tuple[Annotated[str, Meta(pattern=_ADVISORY_OR_ALL)], ...] = ()
    testing: bool = False
    """It may be worthless, and says so."""
    admit_debug: bool = False
    """Counts together with `testing` only."""

    def __post_init__(self) -> None:
        if not self.one_user_per_process:
            raise ValueError("one_user_per_process must be true: servers cannot do anything else")
        names = [variant.name for variant in self.variants]
        if len(set(names)) != len(names):
            raise ValueError("two variants have the same name; verdicts could not tell them apart")


def may_admit(policy: Policy, measurement: str) -> bool:
    """Whether there is a variant that a process with this measurement (64 hex digits) could be."""
    named = (variant.mrenclave for variant in policy.variants)
    return any(each is None or measurement in each for each in named)


class Refusal(StrEnum):
    """What was not as the policy asks."""

    EVIDENCE = "evidence"
    """There are no claims to judge: evidence was missing, or did not verify."""
    ROOT = "root"
    DEBUG = "debug"
    TCB_STATUS = "tcb_status"
    ADVISORY_REFUSED = "advisory_refused"
    ADVISORY_NOT_IGNORED = "advisory_not_ignored"
    EVIDENCE_AGE = "evidence_age"
    MRENCLAVE = "mrenclave"
    MRSIGNER = "mrsigner"
    PRODUCT_ID = "product_id"
    SVN = "svn"


class Reason(Struct, frozen=True):
    refusal: Refusal
    expected: str
    found: str
    variant: str | None = None
    """None: it concerns all variants."""

    @property
    def text(self) -> str:
        where = f"variant {self.variant!r}: " if self.variant is not None else ""
        return f"{where}{self.refusal}: expected {self.expected}, found {self.found}"


class Decision(Struct, frozen=True):
    admitted: bool
    variant: str | None
    """The first one that holds."""
    reasons: tuple[Reason, ...]
    """Of a refusal: all of them. Of an admission: none."""


def load(file: Path) -> Policy:
    """The policy in `file`.

    Raises:
        PolicyError: it cannot be read, or is not a policy.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PolicyError(f"cannot use {file}: {error}") from error
    return parse(content, str(file))


def parse(content: bytes, name: str) -> Policy:
    """The policy that a text is; errors call it `name`.

    Raises:
        PolicyError: it is none.
    """
    try:
        return decode.toml(content, Policy)
    except UnreadableError as error:
        raise PolicyError(f"cannot use {name}: {_words(str(error))}") from error


def _words(text: str) -> str:
    for pattern, words in _IN_WORDS.items():
        text = text.replace(f"`str` matching regex {pattern!r}", words)
    return text


def digest(policy: Policy) -> str:
    """64 hex digits that name what the policy says, whatever comments its file has and in which order lists are.

    The order of variants counts, because verdicts name the first one that holds.
    """
    said = msgspec.to_builtins(policy)
    for lists in (said, *said["variant"]):
        lists |= {key: sorted(set(each)) for key, each in lists.items() if _is_set(each)}
    text = msgspec.json.encode(said, order="sorted")
    return hashlib.sha256(b"standby policy 1\n" + text).hexdigest()


def _is_set(value: object) -> bool:
    """Whether it is a list in which order and repetition say nothing."""
    return isinstance(value, list | tuple) and all(isinstance(each, str) for each in value)


def short(digits: str) -> str:
    """A measurement or digest as texts show it: enough to compare by eye, and not blanked in logs."""
    return digits if len(digits) <= SHOWN_DIGITS else digits[:SHOWN_DIGITS] + "…"


def decide(policy: Policy, claims: Claims, now: float) -> Decision:
    """Whether a process of which verified evidence says `claims` may have secrets at `now` (Unix seconds)."""
    reasons = [*_of_all(policy, claims, now)]
    passed = not reasons
    for variant in policy.variants:
        differences = [*_of_variant(variant, claims)]
        if passed and not differences:
            return Decision(admitted=True, variant=variant.name, reasons=())
        reasons += differences
    return Decision(admitted=False, variant=None, reasons=tuple(reasons))


def _of_all(policy: Policy, claims: Claims, now: float) -> Iterator[Reason]:
    if claims.root is not policy.root:
        yield Reason(Refusal.ROOT, _root(policy.root), _root(claims.root))
    if claims.debug and not (policy.testing and policy.admit_debug):
        yield Reason(Refusal.DEBUG, "no debugging", "a debug enclave, which the host can read")
    if claims.tcb_status not in policy.accepted_tcb:
        yield Reason(Refusal.TCB_STATUS, _any(policy.accepted_tcb), claims.tcb_status)
    yield from _of_advisories(policy, claims)
    limit = policy.maximum_evidence_age_seconds
    if claims.made_at is None:
        yield Reason(Refusal.EVIDENCE_AGE, f"at most {limit} s", "an age that nobody knows")
    elif not 0 <= now - claims.made_at <= limit:
        age = f"{now - claims.made_at:.0f} s"
        yield Reason(Refusal.EVIDENCE_AGE, f"at most {limit} s, not from the future", age)


def _of_advisories(policy: Policy, claims: Claims) -> Iterator[Reason]:
    for advisory in claims.advisories:
        if advisory in policy.refused_advisories:
            yield Reason(Refusal.ADVISORY_REFUSED, "none of the refused advisories", advisory)
        elif not {advisory, ALL} & {*policy.ignored_advisories}:
            yield Reason(Refusal.ADVISORY_NOT_IGNORED, "ignored advisories only", advisory)


def _of_variant(variant: Variant, claims: Claims) -> Iterator[Reason]:
    name, signer = variant.name, variant.signer
    if variant.mrenclave is not None and claims.mrenclave not in variant.mrenclave:
        expected = _any(map(short, variant.mrenclave))
        yield Reason(Refusal.MRENCLAVE, expected, short(claims.mrenclave), name)
    if signer is None:
        return
    if claims.mrsigner != signer.mrsigner:
        yield Reason(Refusal.MRSIGNER, short(signer.mrsigner), short(claims.mrsigner), name)
    if claims.product_id != signer.product_id:
        found = str(claims.product_id)
        yield Reason(Refusal.PRODUCT_ID, str(signer.product_id), found, name)
    if signer.minimum_svn is not None and claims.svn < signer.minimum_svn:
        yield Reason(Refusal.SVN, f"at least {signer.minimum_svn}", str(claims.svn), name)


def _root(root: Root) -> str:
    return "SIMULATED" if root is Root.SIMULATED else root.value


def _any(values: Collection[str] | Iterator[str]) -> str:
    return " or ".join(values)
