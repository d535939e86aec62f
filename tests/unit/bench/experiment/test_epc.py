"""EPC pages are read where a driver counts them, and are absent elsewhere."""

from pathlib import Path

from bench.experiment import epc
from bench.experiment.epc import Counters

FILES = {
    "sgx_nr_total_epc_pages": 23936,
    "sgx_nr_free_pages": 9000,
    "sgx_nr_alloc_pages": 14936,
    "sgx_nr_evicted": 100,
}


def _driver(modules: Path, **changes: int) -> None:
    directory = modules / "isgx" / "parameters"
    directory.mkdir(parents=True, exist_ok=True)
    for name, value in (FILES | changes).items():
        (directory / name).write_text(f"{value}\n")


def test_without_a_driver_that_counts_there_is_nothing(tmp_path: Path) -> None:
    assert Counters.found(tmp_path) is None
    assert epc.summarise([tmp_path]) is None


def test_pages_are_read_and_evictions_are_those_of_the_run(tmp_path: Path) -> None:
    _driver(tmp_path / "sys")
    counters = Counters.found(tmp_path / "sys")
    assert counters
    first = counters.read(0.0)
    _driver(tmp_path / "sys", sgx_nr_free_pages=1000, sgx_nr_alloc_pages=22936, sgx_nr_evicted=350)
    epc.write(tmp_path, [first, counters.read(2.0)])
    found = epc.summarise([tmp_path])
    assert found
    assert (found.total, found.free, found.allocated, found.evicted) == (23936, 5000, 18936, 250)
