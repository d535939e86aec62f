"""What simulated enclaves cost comes from one file, and a file that makes no sense is refused with the reason."""

from pathlib import Path
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app_wrapper.launchers.simulated.parameters import SHIPPED, StartTime, load
from standby.settings import SettingsError
from tests.support.enclaves import SMALL, write


def test_the_shipped_file_has_the_dissertations_figures() -> None:
    shipped = load(SHIPPED)
    enclave, container = shipped.start.enclave, shipped.start.container_and_enclave
    assert (enclave.low, enclave.mean, enclave.high) == (0.310, 0.380, 0.480)
    assert (container.low, container.mean, container.high) == (1.854, 2.778, 7.509)
    assert shipped.memory.heap_bytes == 64 * 2**20
    assert (shipped.memory.heap_pages, shipped.epc.pages) == (16_384, 23_808)
    assert shipped.epc.seconds(1) == pytest.approx(10.26e-6, abs=0.01e-6)


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    assert load(write(tmp_path / "enclave.toml")) == SMALL


@pytest.mark.parametrize(
    ("line", "instead", "says"),
    [
        ("low = 0.3\n", "", "low"),
        ("low = 0.3\n", "low = 0.34\n", "low < mean < high"),
        ("low = 0.3\n", "low = -1\n", "low"),
        ("low = 0.3\n", "low = nan\n", "low"),
        ("login = 4\n", "login = 5\n", "larger than heap"),
        ("heap = 4\n", "heap = 4.5\n", "int"),
        ("size = 6\n", "size = 0\n", "size"),
        ("size = 6\n", "size = 6\nsizes = 6\n", "sizes"),
        ("[epc]\n", "[epc\n", "Expected"),
    ],
)
def test_what_cannot_be_simulated_is_refused_by_file_and_reason(
    tmp_path: Path, line: str, instead: str, says: str
) -> None:
    file = write(tmp_path / "enclave.toml")
    assert line in file.read_text()
    file.write_text(file.read_text().replace(line, instead, 1))
    with pytest.raises(SettingsError, match=rf"simulate enclaves with .*enclave\.toml: .*{says}"):
        load(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="nowhere"):
        load(tmp_path / "nowhere")


_SHIPPED_STARTS = load(SHIPPED).start
_STARTS = [_SHIPPED_STARTS.enclave, _SHIPPED_STARTS.container_and_enclave]


@pytest.mark.parametrize("start", _STARTS, ids=["enclave", "container"])
def test_start_times_have_the_given_bounds_and_mean(start: StartTime) -> None:
    random = Random(0)
    drawn = [start.draw(random) for _ in range(10_000)]
    assert min(drawn) >= start.low
    assert max(drawn) <= start.high
    assert mean(drawn) == pytest.approx(start.mean, rel=0.01)


def test_the_same_seed_draws_the_same_times() -> None:
    one, other = Random(7), Random(7)
    start = SMALL.start.enclave
    assert [start.draw(one) for _ in range(9)] == [start.draw(other) for _ in range(9)]


@given(
    bounds=st.tuples(*[st.floats(0.001, 100)] * 3).map(sorted).filter(lambda b: b[0] < b[1] < b[2]),
    concentration=st.floats(0.5, 1000),
    seed=st.integers(),
)
def test_no_start_time_is_outside_of_its_bounds(
    bounds: list[float], concentration: float, seed: int
) -> None:
    low, between, high = bounds
    drawn = StartTime(low, between, high, concentration).draw(Random(seed))
    assert low <= drawn <= high or drawn == pytest.approx(high)
