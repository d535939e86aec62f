"""Locust's users. Each is one lane of the schedule: it goes through its sessions, and stops."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import gevent
import msgspec
from gevent.event import Event
from locust import User, task
from locust.exception import StopUser

from bench.experiment.job import Client, Job, Planned, Session
from bench.experiment.load.link import Answer, Link
from bench.experiment.rows import NOT_SENT, Row
from smartgrid_client import requests
from smartgrid_client.batches import Batch
from smartgrid_client.credentials import Credentials
from smartgrid_client.generator import STEP, generate
from smartgrid_client.messages import Alarm, Login, Metric
from smartgrid_client.requests import Operation, Request
from standby.secret import Secret

_HOUR = 3600
_EPOCH = 1_700_000_000 // _HOUR * _HOUR
"""Unix seconds of the first made-up reading."""
_ALARMS = (Alarm(Metric.POWER, 3000.0), Alarm(Metric.TENSION, 245.0))


@dataclass
class Load:
    """What all users share."""

    job: Job
    begin: Event = field(default_factory=Event)
    """Set when every lane is there."""
    began: float = 0.0
    """By time.perf_counter, valid from then on."""

    def __post_init__(self) -> None:
        """Make what costs time now."""
        self.credentials = {uid: Credentials.load(user.tls) for uid, user in self.job.users.items()}
        self.keys = {
            uid: Secret.from_hex(user.key_file.read_text().strip(), 32)
            for uid, user in self.job.users.items()
        }
        self.lanes: dict[Client, dict[int, list[Session]]] = defaultdict(lambda: defaultdict(list))
        for session in self.job.sessions:
            self.lanes[session.client][session.lane].append(session)
        self.readings = tuple(
            generate(_EPOCH, _EPOCH + (self.job.hours or 0) * _HOUR, str(self.job.seed))
        )

    def request(self, operation: Operation, uid: str, number: int) -> Request[Any]:
        """What is sent; `number` is the session's."""
        match operation:
            case Operation.LOGIN:
                return requests.login(self.keys[uid])
            case Operation.LONG_WRITE:
                shift = number * len(self.readings) * STEP
                rows = tuple(row._replace(timestamp=row.timestamp + shift) for row in self.readings)
                return requests.long_write(Batch(rows))
            case Operation.WRITE:
                return requests.write(_ALARMS)
            case Operation.LOGOUT:
                return requests.logout()
            case _:
                return requests.query_avg(Metric.POWER)


class _Household(User):
    abstract = True
    client_type: ClassVar[Client]

    @property
    def load(self) -> Load:
        load: Load = self.environment.parsed_options
        return load

    @task
    def live(self) -> None:
        """Go through one lane's sessions."""
        load = self.load
        _, mine = load.lanes[self.client_type].popitem()
        load.begin.wait()
        for session in mine:
            _Course(load, session, partial(self._tell, session)).run()
        raise StopUser

    def _tell(self, session: Session, row: Row, size: int) -> None:
        self.environment.events.request.fire(
            request_type=session.client,
            name=row.operation,
            response_time=row.latency_ms,
            response_length=size,
            exception=RuntimeError(row.error) if row.error else None,
            context={"row": row},
        )


class Meter(_Household):
    """Type 1: pushes readings."""

    client_type = Client.METER


class Customer(_Household):
    """Type 2: asks for averages and sets alarms."""

    client_type = Client.CUSTOMER


class _Course:
    """One session, from its first request to its last."""

    def __init__(self, load: Load, session: Session, tell: Any) -> None:  # noqa: ANN401  # Locust's
        self._load = load
        self._session = session
        self._tell = tell
        job = load.job
        self._credentials = load.credentials[session.uid]
        context = self._credentials.context
        self._link = Link((job.host, job.port), session.uid, context, job.timeout)
        self._token = ""

    def run(self) -> None:
        began = True
        try:
            for planned in self._session.requests:
                if began:
                    answer = self._send(planned)
                    began = not (planned.operation is Operation.LOGIN and answer.error)
                else:
                    self._record(planned, self._due(planned), 0.0, Answer(0, NOT_SENT, b"", 0.0))
        finally:
            self._link.close()

    def _send(self, planned: Planned) -> Answer:
        free = time.perf_counter()
        due = self._due(planned)
        request = self._load.request(planned.operation, self._session.uid, self._session.number)
        if (left := due - time.perf_counter()) > 0:
            gevent.sleep(left)
        sent = time.perf_counter()
        could = max(due, free) if planned.at is not None else sent
        if planned.operation is Operation.LOGIN:
            answer = self._link.log_in(request, self._credentials)
        else:
            answer = self._link.exchange(request, self._token)
        self._record(planned, due if planned.at is not None else sent, sent - could, answer)
        if planned.operation is Operation.LOGIN and not answer.error:
            self._token = msgspec.json.decode(answer.body, type=Login).token
        return answer

    def _due(self, planned: Planned) -> float:
        return self._load.began + planned.at if planned.at is not None else time.perf_counter()

    def _record(self, planned: Planned, due: float, lag: float, answer: Answer) -> None:
        intended = due - self._load.began
        row = Row(
            user=self._session.uid,
            client=self._session.client,
            session=self._session.number,
            operation=planned.operation,
            intended_s=intended,
            lag_ms=lag * 1000,
            connect_ms=answer.connect * 1000,
            latency_ms=max(0.0, time.perf_counter() - due) * 1000,
            status=answer.status,
            error=answer.error,
            warm_up=int(intended < self._load.job.warm_up),
        )
        self._tell(row, len(answer.body))
