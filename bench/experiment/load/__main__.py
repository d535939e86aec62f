"""`python -m bench.experiment.load JOB.json`: send what the job says; its last line is `Generated` as JSON."""

import gc
import sys
import time
from pathlib import Path

import gevent
import msgspec
from locust import User
from locust.env import Environment

from bench.experiment import job
from bench.experiment.job import Client
from bench.experiment.load.recorder import Recorder
from bench.experiment.load.users import Customer, Load, Meter

_PATIENCE = 60.0
"""Seconds beyond the last request's moment; each has a timeout of its own."""


def main(job_file: Path) -> None:
    told = job.read(job_file)
    load = Load(told)
    lanes = {client: len(load.lanes[client]) for client in Client}
    Meter.fixed_count, Customer.fixed_count = lanes[Client.METER], lanes[Client.CUSTOMER]
    kinds: list[type[User]] = [kind for kind in (Meter, Customer) if kind.fixed_count]
    environment = Environment(user_classes=kinds, parsed_options=load)
    recorder = Recorder(environment)
    runner = environment.create_local_runner()
    users = sum(lanes.values())
    runner.start(users, spawn_rate=users)
    while runner.user_count < users:
        gevent.sleep(0.01)
    gc.freeze()  # what was made so far stays, and is not looked through again while time is taken
    load.began, used = time.perf_counter(), time.process_time()
    load.begin.set()
    last = max(each.at or 0.0 for session in told.sessions for each in session.requests)
    with gevent.Timeout(last + _PATIENCE):
        runner.user_greenlets.join()
    generated = recorder.generated(load.began, used)
    runner.quit()
    recorder.write(told.requests_file)
    print(msgspec.json.encode(generated).decode(), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
