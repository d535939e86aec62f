"""What refers to what inside a session, what excludes what, and what its version allows.

Works on any parsed data: what is not of the right shape is passed over here, because the shape's own check names it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attestation.findings import Finding
from attestation.scone import vocabulary

_LISTS: Final = ("services", "secrets", "images", "volumes")


def entries(data: Mapping[str, object], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The mappings in the list `data[key]`, each with its path."""
    value = data.get(key)
    for index, each in enumerate(value if isinstance(value, list) else []):
        if isinstance(each, dict):
            yield f"{key}[{index}]", each


def mapping(data: Mapping[str, object], key: str) -> dict[str, Any]:
    """The mapping `data[key]`; empty where it is not one."""
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def check(session: Mapping[str, object]) -> Iterator[Finding]:
    for key in _LISTS:
        yield from _unique(session, key)
    if "predecessor" in session and "namespace_hash" in session:
        yield Finding("namespace_hash", "exclusive", "predecessor and namespace_hash together")
    yield from _secrets(session)
    yield from _services(session)
    yield from _images(session)
    yield from _version(session)
    yield from _advisories(session)


def _unique(session: Mapping[str, object], key: str) -> Iterator[Finding]:
    seen: set[str] = set()
    for path, each in entries(session, key):
        name = str(each.get("name"))
        if name in seen:
            yield Finding(f"{path}.name", "twice", f"{name!r} is there twice")
        seen.add(name)


def _names(session: Mapping[str, object], key: str) -> set[str]:
    return {str(each.get("name")) for _, each in entries(session, key)}


def _secrets(session: Mapping[str, object]) -> Iterator[Finding]:
    kinds = {
        str(each.get("name")): str(each.get("kind")) for _, each in entries(session, "secrets")
    }
    for path, each in entries(session, "secrets"):
        kind = str(each.get("kind"))
        imported = "import" in each or "import_akv" in each
        if (
            kind in {"x509", "x509-ca"}
            and not imported
            and not {"private_key", "value"} & each.keys()
        ):
            yield Finding(
                f"{path}.private_key", "missing_key", "a certificate needs its private_key"
            )
        if kind in {"ascii", "binary"} and not imported and not {"size", "value"} & each.keys():
            yield Finding(f"{path}.size", "missing_key", "a size or a value is needed")
        yield from _refers(path, each, "private_key", kinds, {"private-key"})
        yield from _refers(path, each, "issuer", kinds, {"x509-ca"})
        if kind == "jwt":
            yield from _refers(path, each, "signer", kinds, {"private-key"})


def _refers(
    path: str, secret: Mapping[str, Any], key: str, kinds: Mapping[str, str], wanted: set[str]
) -> Iterator[Finding]:
    name = secret.get(key)
    if not isinstance(name, str):
        return
    if name not in kinds:
        yield Finding(f"{path}.{key}", "not_defined", f"{key} {name!r} is not defined")
    elif kinds[name] in vocabulary.KINDS - wanted:
        expected = " or ".join(sorted(wanted))
        yield Finding(f"{path}.{key}", "wrong_kind", f"{name!r} is {kinds[name]}, not {expected}")


def _services(session: Mapping[str, object]) -> Iterator[Finding]:
    images = _names(session, "images")
    mode = mapping(mapping(session, "security"), "attestation").get("mode", "hardware")
    for path, each in entries(session, "services"):
        name = each.get("image_name")
        if isinstance(name, str) and name not in images:
            yield Finding(f"{path}.image_name", "not_defined", f"image {name!r} is not defined")
        if mode == "hardware" and not each.get("attestation") and not each.get("mrenclaves"):
            yield Finding(
                f"{path}.attestation",
                "missing_key",
                "mode hardware needs a variant for each service",
            )
        if isinstance(each.get("attestation"), dict):
            yield from _variant(f"{path}.attestation", each["attestation"])
        for where, variant in entries(each, "attestation"):
            yield from _variant(f"{path}.{where}", variant)


def _variant(path: str, variant: Mapping[str, Any]) -> Iterator[Finding]:
    if not {"mrenclave", "signer"} & variant.keys():
        yield Finding(path, "empty_variant", "a variant without mrenclave and signer admits all")
    signer = mapping(variant, "signer")
    least, most = signer.get("isvsvn_min"), signer.get("isvsvn_max")
    if "isvsvn" in signer and (least is not None or most is not None):
        yield Finding(f"{path}.signer", "exclusive", "isvsvn and a range together")
    if isinstance(least, int) and isinstance(most, int) and least > most:
        yield Finding(f"{path}.signer", "empty_range", "isvsvn_min is above isvsvn_max")


def _images(session: Mapping[str, object]) -> Iterator[Finding]:
    volumes, secrets = _names(session, "volumes"), _names(session, "secrets")
    for path, image in entries(session, "images"):
        for where, each in entries(image, "volumes"):
            if str(each.get("name")) not in volumes:
                text = f"volume {each.get('name')!r} is not defined"
                yield Finding(f"{path}.{where}.name", "not_defined", text)
        provided = image.get("provide_secrets")
        for index, name in enumerate(provided if isinstance(provided, list) else []):
            if isinstance(name, str) and name not in secrets:
                text = f"secret {name!r} is not defined"
                yield Finding(f"{path}.provide_secrets[{index}]", "not_defined", text)
        yield from _paths(path, image)


def _paths(path: str, image: Mapping[str, Any]) -> Iterator[Finding]:
    files = image.get("injection_files")
    seen: set[str] = set()
    for index, each in enumerate(files if isinstance(files, list) else []):
        file = each.get("path") if isinstance(each, dict) else each
        if isinstance(file, str) and file in seen:
            yield Finding(f"{path}.injection_files[{index}]", "twice", f"{file!r} is there twice")
        seen.add(str(file))


def _version(session: Mapping[str, object]) -> Iterator[Finding]:
    version = session.get("version")
    if not isinstance(version, str):
        return
    found = vocabulary.VERSION.fullmatch(version)
    if found is None or int(found[1] or 0) > vocabulary.NEWEST:
        text = f"{version!r} is not a version this checker knows: 0.3 to 0.3.{vocabulary.NEWEST}"
        yield Finding("version", "unknown_version", text)
    elif int(found[1] or 0) < vocabulary.NEWEST:
        for path, what in _newest(session):
            text = f"{what} needs version 0.3.{vocabulary.NEWEST}, this is {version}"
            yield Finding(path, "needs_newer_version", text)


def _newest(session: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What came with the newest version known."""
    for path, each in entries(session, "secrets"):
        if str(each.get("kind")) in vocabulary.NEEDS_NEWEST_KINDS:
            yield f"{path}.kind", f"a secret of kind {each['kind']}"
    for path, each in entries(session, "services"):
        platforms = each.get("platforms")
        if isinstance(platforms, list) and any(
            re.fullmatch(vocabulary.PLATFORM, str(text)) for text in platforms
        ):
            yield f"{path}.platforms", "INTEL_QE_ID"


def _advisories(session: Mapping[str, object]) -> Iterator[Finding]:
    attestation = mapping(mapping(session, "security"), "attestation")
    tolerate = attestation.get("tolerate")
    debug = isinstance(tolerate, list) and "debug-mode" in tolerate
    if attestation.get("ignore_advisories") == "*" and not debug:
        text = 'ignore_advisories "*" is only allowed with debug-mode'
        yield Finding("security.attestation.ignore_advisories", "needs_debug_mode", text)
