"""Settings from environment variables: typed records, one per part, each field with unit, default and consequence.

A settings record is a frozen msgspec struct whose fields are `Annotated[type, Meta(...)]`; msgspec converts and checks
the text, this module only names the variables (`PREFIX_FIELD`) and collects what `--help` and
`docs/reference/settings.md` print. Secrets are never values of settings, only paths of files that hold them.

A variable with a part's prefix that names none of its settings is an error: else a misspelt name would be a setting
that is silently not made. So each prefix belongs to one part.

Rejected: pydantic-settings, because every standby server would pay for importing it (about 10 MB).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from standby.text import printable

SettingsT = TypeVar("SettingsT", bound=Struct)
LOG_LEVEL: Final = "LOG_LEVEL"
"""Every part has it besides its own settings; it is read before them."""
_SHOWN: Final = 100
"""Characters of a value in an error text."""


class SettingsError(Exception):
    """A variable is missing, or is not known, or its text cannot be used; the message names it and what is expected."""


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One line of a settings table."""

    variable: str
    kind: str
    default: str
    unit: str
    description: str


def about(description: str, unit: str = "") -> dict[str, Any]:
    """Keyword arguments for `Meta`: what the setting means, and its unit."""
    return {"description": description, "extra_json_schema": {"unit": unit}}


def _variable(prefix: str, field: str) -> str:
    return f"{prefix}_{field.upper()}"


def _decode(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(f"no conversion from text to {kind}")


def _is_list(kind: object) -> bool:
    return str(kind).startswith(
        ("list", "typing.Annotated[list", "tuple", "typing.Annotated[tuple")
    )


def load(cls: type[SettingsT], prefix: str, environ: Mapping[str, str]) -> SettingsT:
    """The settings of one part, read from variables that start with `prefix`.

    An empty variable counts as absent.

    Raises:
        SettingsError: the first variable that is unknown, missing or wrong, with what is expected.
    """
    refuse_unknown(environ, (prefix,), names(cls, prefix))
    values: dict[str, object] = {}
    for field in msgspec.structs.fields(cls):
        variable = _variable(prefix, field.name)
        if text := environ.get(variable, ""):
            values[field.name] = _value(cls, field.name, variable, text)
        elif field.required:
            raise SettingsError(f"{variable} is not set; `--help` lists every setting")
    return cls(**values)


def names(cls: type[Struct], prefix: str) -> frozenset[str]:
    """Every variable that the part knows."""
    return frozenset(_variable(prefix, each) for each in (*cls.__struct_fields__, LOG_LEVEL))


def refuse_unknown(
    environ: Mapping[str, str], prefixes: Collection[str], known: Collection[str]
) -> None:
    """Refuse variables that begin as ours do and are none; an empty one counts as absent.

    Raises:
        SettingsError: the first of them, with the known name that is nearest to it.
    """
    starts = tuple(f"{prefix}_" for prefix in prefixes)
    for variable in sorted(environ):
        if variable.startswith(starts) and variable not in known and environ[variable]:
            raise SettingsError(
                f"there is no setting {printable(variable, _SHOWN)}; {_meant(variable, known)}"
            )


def _meant(variable: str, known: Collection[str]) -> str:
    import difflib  # noqa: PLC0415  # servers do not need it

    nearest = difflib.get_close_matches(variable, sorted(known), n=1)
    return f"did you mean {nearest[0]}?" if nearest else "`--help` lists every setting"


def check_given(cls: type[Struct], prefix: str, environ: Mapping[str, str]) -> None:
    """Look at each variable by itself, where others may still be missing.

    Raises:
        SettingsError: as `load`.
    """
    refuse_unknown(environ, (prefix,), names(cls, prefix))
    for name in cls.__struct_fields__:
        variable = _variable(prefix, name)
        if text := environ.get(variable, ""):
            _value(cls, name, variable, text)


def changed(loaded: SettingsT, prefix: str, environ: Mapping[str, str]) -> SettingsT:
    """Settings that were loaded before, with what these variables say instead.

    Raises:
        SettingsError: as `load`.
    """
    kinds = _kinds(type(loaded))
    values: dict[str, object] = {}
    for variable, text in environ.items():
        name = variable.removeprefix(f"{prefix}_").lower()
        if text and name in kinds and variable == _variable(prefix, name):
            values[name] = _value(type(loaded), name, variable, text)
    return msgspec.structs.replace(loaded, **values)


def _value(cls: type[Struct], name: str, variable: str, text: str) -> object:
    kind = _kinds(cls)[name]
    parts = [part.strip() for part in text.split(",") if part.strip()] if kind.is_list else text
    try:
        return kind.read(msgspec.json.encode(parts))
    except msgspec.ValidationError as error:
        raise SettingsError(f"{variable}={printable(text, _SHOWN)}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a field may be."""

    hint: object
    is_list: bool
    """It is written with commas."""
    read: Callable[[bytes], object]


@cache
def _kinds(cls: type[Struct]) -> Mapping[str, _Kind]:
    """Of each field; kept, because finding out is most of the work of loading."""
    hints = get_type_hints(cls, include_extras=True)
    return {name: _Kind(hint, _is_list(hint), _reader(hint)) for name, hint in hints.items()}


def _reader(hint: object) -> Callable[[bytes], object]:
    return msgspec.json.Decoder(hint, strict=False, dec_hook=_decode).decode  # noqa: TID251


def to_environ(settings: Struct, prefix: str) -> dict[str, str]:
    """The variables from which `load` makes the same settings; fields that hold None are left out."""
    environ: dict[str, str] = {}
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        if value is None:
            continue
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        environ[_variable(prefix, field.name)] = text
    return environ


def describe(cls: type[Struct], prefix: str) -> list[SettingDoc]:
    """One entry per field, in order, for help texts and the reference page."""
    kinds = _kinds(cls)
    return [
        _documented(prefix, field, kinds[field.name].hint) for field in msgspec.structs.fields(cls)
    ]


def _documented(prefix: str, field: msgspec.structs.FieldInfo, hint: object) -> SettingDoc:
    return SettingDoc(
        variable=_variable(prefix, field.name),
        kind=_kind(hint),
        default=_default(field),
        unit=_meta(hint).get("unit", ""),
        description=_meta(hint).get("description", ""),
    )


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return "none" if value is None or value in ((), []) else str(value)


def _meta(hint: object) -> dict[str, str]:
    found: dict[str, str] = {}
    for meta in getattr(hint, "__metadata__", ()):
        if isinstance(meta, Meta):
            found["description"] = meta.description or found.get("description", "")
            found["unit"] = (meta.extra_json_schema or {}).get("unit", "")
    return found


def _kind(hint: object) -> str:
    inner = getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint
    if isinstance(inner, UnionType) or get_origin(inner) is Union:
        return " | ".join(_kind(each) for each in get_args(inner))
    if inner is NoneType:
        return "None"
    return getattr(inner, "__name__", str(inner)).replace("pathlib.", "")
