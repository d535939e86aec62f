"""A measurement says all that a manifest says, in one way only."""

import hashlib
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attestation.measure.errors import BadLaunchError
from attestation.measure.manifest import Difference, Entry, Kind, Manifest, explain, measure

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
entries = st.builds(Entry, st.sampled_from(Kind), texts, texts)
manifests = st.lists(entries, unique_by=lambda each: (each.kind, each.name), max_size=8).map(
    lambda found: Manifest(tuple(found))
)


def test_the_bytes_of_version_1_do_not_change() -> None:
    manifest = Manifest((Entry(Kind.VARIABLE, "B", "é"), Entry(Kind.ARGUMENT, "0", "{python}")))
    content = b"standby measurement 1\nargument\x000\x00{python}\x00variable\x00B\x00\xc3\xa9\x00"
    assert measure(manifest) == hashlib.sha256(content).hexdigest()


@given(manifests, st.randoms())
def test_the_order_of_entries_does_not_matter(manifest: Manifest, chance: random.Random) -> None:
    shuffled = [*manifest.entries]
    chance.shuffle(shuffled)
    assert measure(Manifest(tuple(shuffled))) == measure(manifest)
    assert explain(manifest, Manifest(tuple(shuffled))) == ()


@given(manifests, manifests)
def test_two_manifests_measure_the_same_exactly_if_they_say_the_same(
    one: Manifest, other: Manifest
) -> None:
    same = {*one.entries} == {*other.entries}
    assert (measure(one) == measure(other)) == same
    assert (explain(one, other) == ()) == same


@given(manifests.filter(lambda each: each.entries), st.data())
def test_any_change_of_an_entry_changes_the_measurement(
    manifest: Manifest, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(manifest.entries) - 1))
    entry = manifest.entries[place]
    without = manifest.entries[:place] + manifest.entries[place + 1 :]
    changed = msgspec.structs.replace(entry, value=f"{entry.value}x")
    for differing, after in ((without, None), ((*without, changed), changed.value)):
        assert measure(Manifest(differing)) != measure(manifest)
        difference = Difference(entry.kind, entry.name, entry.value, after)
        assert explain(manifest, Manifest(differing)) == (difference,)


def test_a_difference_is_said_in_words() -> None:
    difference = Difference(Kind.FILE, "app/main.py", "aa", "bb")
    assert difference.text == "file app/main.py: was aa, is bb"
    assert Difference(Kind.ABSENT, "app/x", None, "").text == "absent app/x: new"
    assert Difference(Kind.VARIABLE, "TZ", "UTC", None).text == "variable TZ: gone"


@pytest.mark.parametrize(
    "entry",
    [
        Entry(Kind.VARIABLE, "A", "1\0argument"),
        Entry(Kind.VARIABLE, "A\0", "1"),
        Entry(Kind.FILE, "app/\udcff.py", "1"),
    ],
)
def test_what_is_not_unambiguous_has_no_measurement(entry: Entry) -> None:
    with pytest.raises(BadLaunchError):
        measure(Manifest((entry,)))


def test_an_entry_has_one_value() -> None:
    twice = Manifest((Entry(Kind.VARIABLE, "A", "1"), Entry(Kind.VARIABLE, "A", "2")))
    with pytest.raises(BadLaunchError, match="variable 'A' is named twice"):
        measure(twice)


def test_a_manifest_of_another_version_has_no_measurement() -> None:
    with pytest.raises(BadLaunchError, match="version 2"):
        measure(Manifest((), version=2))
