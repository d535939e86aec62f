"""Settings come from the environment, and say what is wrong with it."""

from pathlib import Path
from typing import Annotated

import pytest
from msgspec import Meta, Struct

from standby import settings
from standby.settings import SettingsError, about


class Example(Struct, frozen=True, kw_only=True):
    size: Annotated[int, Meta(ge=1, **about("how many", "servers"))]
    wait: Annotated[float, Meta(gt=0, **about("how long", "seconds"))] = 2.5
    place: Annotated[Path | None, Meta(**about("where"))] = None
    eager: Annotated[bool, Meta(**about("whether"))] = False
    names: Annotated[list[str], Meta(**about("which"))] = []


def test_text_becomes_typed_values() -> None:
    environ = {
        "X_SIZE": "3",
        "X_WAIT": "0.5",
        "X_PLACE": "/a/b",
        "X_EAGER": "true",
        "X_NAMES": "a, b",
    }
    loaded = settings.load(Example, "X", environ)
    assert loaded == Example(size=3, wait=0.5, place=Path("/a/b"), eager=True, names=["a", "b"])


def test_an_empty_variable_counts_as_absent() -> None:
    assert settings.load(Example, "X", {"X_SIZE": "1", "X_WAIT": ""}).wait == 2.5


@pytest.mark.parametrize(
    ("environ", "named"),
    [({}, "X_SIZE"), ({"X_SIZE": "0"}, "X_SIZE"), ({"X_SIZE": "1", "X_WAIT": "soon"}, "X_WAIT")],
)
def test_a_setting_that_cannot_be_used_is_named(environ: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        settings.load(Example, "X", environ)


def test_settings_that_were_loaded_before_take_what_has_changed() -> None:
    before = Example(size=3, names=["a"])
    environ = {"X_SIZE": "4", "X_NAMES": "", "X_OTHER": "x", "SIZE": "5"}
    assert settings.changed(before, "X", environ) == Example(size=4, names=["a"])
    with pytest.raises(SettingsError, match="X_SIZE"):
        settings.changed(before, "X", {"X_SIZE": "0"})


def test_settings_survive_the_way_through_the_environment() -> None:
    once = Example(size=3, place=Path("/x"), eager=True, names=["a", "b"])
    assert settings.load(Example, "X", settings.to_environ(once, "X")) == once


def test_the_description_names_every_setting_with_unit_and_default() -> None:
    first, second, *_ = settings.describe(Example, "X")
    assert (first.variable, first.kind, first.default, first.unit) == (
        "X_SIZE",
        "int",
        "required",
        "servers",
    )
    assert (second.default, second.unit, second.description) == ("2.5", "seconds", "how long")


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("X_SIZES", "there is no setting X_SIZES; did you mean X_SIZE?"),
        ("X_WIAT", "did you mean X_WAIT?"),
        ("X_LOGLEVEL", "did you mean X_LOG_LEVEL?"),
        ("X_SOMETHING_ELSE", "`--help` lists every setting"),
    ],
)
def test_a_misspelt_name_is_an_error_that_names_the_nearest_known_one(
    variable: str, says: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        settings.load(Example, "X", {"X_SIZE": "1", variable: "1"})
    assert says in str(raised.value)
    with pytest.raises(SettingsError):
        settings.check_given(Example, "X", {variable: "1"})


def test_other_names_and_empty_ones_are_nothing_to_do_with_it() -> None:
    environ = {"X_SIZE": "1", "X_LOG_LEVEL": "debug", "X_SIZES": "", "XX_SIZES": "1", "X": "1"}
    assert settings.load(Example, "X", environ).size == 1


def test_each_variable_can_be_looked_at_while_others_are_missing() -> None:
    settings.check_given(Example, "X", {"X_WAIT": "1"})
    with pytest.raises(SettingsError, match="X_WAIT=-1: Expected"):
        settings.check_given(Example, "X", {"X_WAIT": "-1"})


def test_a_value_is_quoted_as_it_can_be_seen_and_cut() -> None:
    with pytest.raises(SettingsError) as raised:
        settings.load(Example, "X", {"X_SIZE": "\x1b[31m" + 500 * "9"})
    assert str(raised.value).startswith("X_SIZE=\\x1b[31m999")
    assert len(str(raised.value)) < 200
