"""Samples of real processes: what is read, kept, and shown as metrics."""

import os
from pathlib import Path

import psutil
import pytest
from prometheus_client import generate_latest

from bench.experiment import resources
from bench.experiment.metrics import ROLES, Gauges
from bench.experiment.resources import GENERATOR, Sampler
from tests.support.waiting import eventually_sync


def test_this_process_is_sampled_until_the_end(tmp_path: Path) -> None:
    gauges = Gauges()
    me = psutil.Process()
    with Sampler(lambda: iter([(me, GENERATOR)]), tmp_path, 0.01, gauges) as sampler:
        eventually_sync(lambda: len(sampler.samples) > 2, "three readings")
    samples = resources.read(tmp_path / "resources.csv")
    assert samples == sampler.samples
    for sample in samples:
        assert sample.pid == os.getpid()
        assert sample.pss_mib
        assert 1 < sample.pss_mib <= sample.rss_mib
        assert sample.enclave_mib is None
    assert [each.at_s for each in samples] == sorted(each.at_s for each in samples)


def test_metrics_have_every_role_from_the_beginning_and_sums_in_base_units(tmp_path: Path) -> None:
    gauges = Gauges()
    before = generate_latest(gauges.registry).decode()
    assert all(f'bench_pss_bytes{{role="{role}"}} 0.0' in before for role in ROLES)
    me = psutil.Process()
    with Sampler(lambda: iter([(me, GENERATOR)]), tmp_path, 60, gauges) as sampler:
        eventually_sync(lambda: bool(sampler.samples), "a reading")
    shown = gauges.registry.get_sample_value("bench_pss_bytes", {"role": GENERATOR})
    assert shown == pytest.approx((sampler.samples[0].pss_mib or 0) * 2**20)


def test_a_failure_of_the_sampler_is_not_hidden(tmp_path: Path) -> None:
    def broken() -> object:
        raise RuntimeError("cannot look")

    with (
        pytest.raises(RuntimeError, match="cannot look"),
        Sampler(broken, tmp_path, 1, Gauges()),  # type: ignore[arg-type]  # a broken one
    ):
        pass


def test_a_process_that_is_gone_is_left_out(tmp_path: Path) -> None:
    child = psutil.Popen(["true"])
    child.wait()
    with Sampler(lambda: iter([(child, GENERATOR)]), tmp_path, 1, Gauges()):
        pass
    assert resources.read(tmp_path / "resources.csv") == []
