"""Demands for tests, written as short as they are read."""

from bench.capacity.model import Demand

USUAL = Demand(
    users=10_000,
    active_ratio=0.01,
    arrivals=0.17,
    recycle=0.014,
    server_memory=12.0,
    waiting_memory=5.0,
    trivial_memory=30.0,
    template_memory=30.0,
    node_memory=8192.0,
    wait_limit=0.01,
)
