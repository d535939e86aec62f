"""Numbers are written as people read them."""

import pytest

from bench.capacity import words


@pytest.mark.parametrize(
    ("mib", "said"),
    [
        (4.9, "4.9 MiB"),
        (1023, "1,023 MiB"),
        (1024, "1.0 GiB"),
        (300_000, "293.0 GiB"),
        (2**20, "1.0 TiB"),
    ],
)
def test_memory(mib: float, said: str) -> None:
    assert words.memory(mib) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.0138, "13.8 ms"), (1.5, "1.5 s"), (119, "119 s"), (600, "10.0 min"), (0, "0 ms")],
)
def test_duration(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("part", "said"),
    [(0, "0 %"), (1e-5, "less than 0.01 %"), (0.00988, "0.99 %"), (0.1234, "12.3 %"), (1, "100 %")],
)
def test_share(part: float, said: str) -> None:
    assert words.share(part) == said


@pytest.mark.parametrize(
    ("value", "said"), [(100.0024, "100"), (0.17, "0.17"), (1000, "1,000"), (5e5, "500,000")]
)
def test_number(value: float, said: str) -> None:
    assert words.number(value) == said


def test_one_and_several() -> None:
    assert words.plural(1, "node") == "1 node"
    assert words.plural(2000, "node") == "2,000 nodes"
