"""What a session may say and should not: each makes attestation prove less, or does not do what it seems to.

All findings are warnings, because a CAS would take it, except what SCONE's documentation calls incompatible.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from attestation.findings import Finding, warning
from attestation.scone import vocabulary
from attestation.scone.references import entries, mapping


def check(session: Mapping[str, object]) -> Iterator[Finding]:
    security = mapping(session, "security")
    yield from _attestation(mapping(security, "attestation"))
    if security.get("singleton_enclaves") is not True:
        text = "without singleton_enclaves an enclave can be attested for several sessions"
        yield warning("security.singleton_enclaves", "not_singleton", text)
    yield from _anybody(mapping(session, "access_policy"))
    for path, service in entries(session, "services"):
        yield from _service(path, service, singleton=security.get("singleton_enclaves") is True)
    for path, image in entries(session, "images"):
        yield from _volumes(path, image)
    if "creator" in session:
        text = "CAS fills in the creator, and it enters the session's hash: do not write it"
        yield warning("creator", "creator_written", text)


def _attestation(attestation: Mapping[str, Any]) -> Iterator[Finding]:
    path = "security.attestation"
    if attestation.get("mode") == "none":
        yield warning(f"{path}.mode", "mode_none", "mode none: every program is given the secrets")
    tolerate = attestation.get("tolerate")
    for index, each in enumerate(tolerate if isinstance(tolerate, list) else []):
        if str(each) in vocabulary.WORTHLESS:
            text = f"with {each} the host can read or imitate the enclave"
            yield warning(f"{path}.tolerate[{index}]", "worthless", text)
    if attestation.get("ignore_advisories") == "*":
        text = "every known weakness of the machine is ignored"
        yield warning(f"{path}.ignore_advisories", "all_advisories_ignored", text)


def _anybody(policy: Mapping[str, Any]) -> Iterator[Finding]:
    for key, value in policy.items():
        if value == "ANY" or (isinstance(value, list) and "ANY" in value):
            yield warning(f"access_policy.{key}", "anybody", f"anybody may {key}")


def _service(path: str, service: Mapping[str, Any], *, singleton: bool) -> Iterator[Finding]:
    if "mrenclaves" in service:
        text = "mrenclaves is deprecated; write attestation variants"
        yield warning(f"{path}.mrenclaves", "deprecated", text)
    if service.get("fspf_update_policy") == "no_rollback_protection":
        text = "an old copy of the file system would be accepted"
        yield warning(f"{path}.fspf_update_policy", "no_rollback_protection", text)
    variables = {key: str(value) for key, value in mapping(service, "environment").items()}
    for name in sorted(vocabulary.WITHOUT_EFFECT & variables.keys()):
        text = f"{name} in the session has no effect; set it at invocation"
        yield warning(f"{path}.environment.{name}", "no_effect", text)
    if variables.get("SCONE_ALLOW_DLOPEN") == "2":
        text = "libraries that nothing protects are loaded; 1 admits protected ones only"
        yield warning(f"{path}.environment.SCONE_ALLOW_DLOPEN", "unprotected_libraries", text)
    if variables.get("SCONE_FORK") == "1" and singleton:
        text = "fork is incompatible with singleton_enclaves"
        yield Finding(f"{path}.environment.SCONE_FORK", "fork_and_singleton", text)


def _volumes(path: str, image: Mapping[str, Any]) -> Iterator[Finding]:
    for where, volume in entries(image, "volumes"):
        if volume.get("update_policy") == "no_rollback_protection":
            text = "an old copy of the volume would be accepted"
            yield warning(f"{path}.{where}.update_policy", "no_rollback_protection", text)
