"""However the pipe cuts a server's output, the same lines come out, and memory stays bounded."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from app_wrapper.application import Events
from app_wrapper.events import EventReader
from standby.lines import LineCutter

LIMIT = 20


def _lines(chunks: list[bytes]) -> list[str]:
    cutter = LineCutter(LIMIT)
    found = [line for chunk in chunks for line in cutter.feed(chunk)]
    assert len(cutter._rest) <= LIMIT + 1
    return found + cutter.end()


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_how_output_is_cut_into_chunks_does_not_matter(output: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(output)]
    chunks = [output[a:b] for a, b in itertools.pairwise(edges)]
    assert _lines(chunks) == _lines([output])


@given(st.binary(max_size=300))
def test_any_output_can_be_read_as_events(output: bytes) -> None:
    reader = EventReader(Events())
    for line in _lines([output]):
        assert len(line) <= LIMIT + 1
        reader.read(line)
