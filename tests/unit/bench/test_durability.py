"""The cost of durable writes is measured for every kind of request, at every level, in equal numbers."""

from pathlib import Path

from bench.durability import LEVELS, measure


def test_all_variants_are_measured_equally_often(tmp_path: Path) -> None:
    told: list[int] = []
    result = measure(tmp_path, 1, told.append)
    assert told == [0, 1]
    for by_level in result.milliseconds.values():
        assert set(by_level) == set(LEVELS)
        assert len({values.count for values in by_level.values()}) == 1
        assert all(values.p50 for values in by_level.values())
    assert result.ratios.keys() == result.milliseconds.keys()
