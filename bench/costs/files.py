"""Summaries and profiles as files."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.costs.errors import ProfilesError, SummaryError
from bench.costs.model import Example, Profile
from bench.experiment.record import Summary

PROFILES: Final = Path(__file__).with_name("profiles.toml")


class Profiles(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of profiles."""

    profile: list[Profile] = []
    example: list[Example] = []


def read_profiles(file: Path) -> Profiles:
    """The profiles of a TOML file.

    Raises:
        OSError: it cannot be read.
        ProfilesError: it holds something else, or a name twice.
        WeightsError: a profile's weights are not allowed.
    """
    try:
        found = msgspec.toml.decode(file.read_bytes(), type=Profiles)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ProfilesError(f"{file}: {error}") from error
    names = [each.name for each in (*found.profile, *found.example)]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ProfilesError(f"{file}: more than one profile is called {', '.join(sorted(twice))}")
    return found


def read_summary(file: Path) -> Summary:
    """What `bench.experiment` has left behind.

    Raises:
        OSError: it cannot be read.
        SummaryError: it is no summary.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Summary)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SummaryError(f"{file} is no summary of bench.experiment: {error}") from error
