"""One household's meter and customer, through the load balancer, over the library that real clients use."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from attestation import trust
from attestation.trust_files import POLICY_FILE
from smartgrid_client import requests
from smartgrid_client.api import SmartGridClient
from smartgrid_client.batches import Batch
from smartgrid_client.connection import Address
from smartgrid_client.messages import Alarm, Averages, Login
from smartgrid_client.readings import Reading
from smartgrid_client.session import Attempt, Session
from smartgrid_client.verifier import Verifier
from standby.identity import Role
from standby.secret import Secret
from standby.tls import TlsFiles
from standby_cli.demo.scenario import Household, Question, questions

Observer = Callable[[Attempt], None]


@dataclass(frozen=True)
class Answer:
    question: Question
    given: Averages


@dataclass
class Outcome:
    """What one household saw."""

    household: Household
    answers: list[Answer] = field(default_factory=list)
    rows_stored: int = 0
    rows_sent: int = 0
    duplicates: int = 0
    """Batches that were sent twice on purpose and recognised."""
    repeated: int = 0
    """Batches that were sent twice on purpose."""
    alarms: list[Alarm] = field(default_factory=list)
    """As listed by the platform at the end."""
    sessions: list[set[str]] = field(default_factory=list)
    """The boot ids that served each session; more than one when a server was lost on the way."""
    clients: int = 0
    """Each of one session; meter and customer together are two."""
    verified: set[int] = field(default_factory=set)
    """The numbers of the clients to which a server proved that the policy admits it."""


@dataclass(frozen=True)
class Access:
    """How one household reaches the platform: the files that `standby enroll` wrote.

    As every client that was given a policy, theirs send a server nothing before it has proved what it is.
    """

    address: Address
    customer: Path
    meter: Path

    def client(self, role: Role) -> SmartGridClient:
        directory = self.meter if role is Role.METER else self.customer
        files = TlsFiles(
            certificate=directory / "client.pem",
            key=directory / "client-key.pem",
            authorities=directory / "ca.pem",
        )
        verifier = Verifier(trust.load(directory / POLICY_FILE))
        return SmartGridClient(self.address, files, verifier=verifier)

    def key(self) -> Secret:
        return Secret.from_hex((self.customer / "db.key").read_text(), 32)


class Family:
    """Runs one household's rounds, one after another."""

    def __init__(
        self, household: Household, access: Access, observe: Observer, stop: asyncio.Event
    ) -> None:
        self.outcome = Outcome(household)
        self._household = household
        self._access = access
        self._observe = observe
        self._stop = stop
        self._stored: list[Reading] = []

    async def run(self) -> Outcome:
        *separate, last = range(len(self._household.rounds))
        for each in separate:
            self.outcome.sessions.append(set())
            async with self._session(Role.METER) as meter:
                await self._push(meter, self._household.rounds[each])
            self.outcome.sessions.append(set())
            async with self._session(Role.CUSTOMER) as customer:
                await self._ask(customer, self._household.alarms[each])
        self.outcome.sessions.append(set())
        async with self._session(Role.METER) as meter, self._session(Role.CUSTOMER) as customer:
            await self._push(meter, self._household.rounds[last])
            await self._ask(customer, self._household.alarms[last])
            listed = await customer.perform(requests.alarms())
            self.outcome.alarms = [Alarm(each.metric, each.threshold) for each in listed.alarms]
        return self.outcome

    def _session(self, role: Role) -> Session:
        self.outcome.clients += 1
        note = partial(self._note, self.outcome.clients)
        return Session(self._access.client(role), self._access.key(), note, stop=self._stop)

    def _note(self, client: int, attempt: Attempt) -> None:
        if attempt.exchange.admitted:
            self.outcome.verified.add(client)
        if isinstance(attempt.exchange.outcome, Login):
            self.outcome.sessions[-1].add(attempt.exchange.outcome.boot_id)
        self._observe(attempt)

    async def _push(self, meter: Session, batches: Sequence[Batch]) -> None:
        for batch in batches:
            reply = await meter.perform(requests.long_write(batch))
            self.outcome.rows_sent += len(batch.rows)
            self.outcome.rows_stored += reply.stored
            self._stored += batch.rows
        # a meter whose answer was lost sends the same batch again
        again = await meter.perform(requests.long_write(batches[-1]))
        self.outcome.repeated += 1
        self.outcome.duplicates += again.known
        self.outcome.rows_stored += again.stored

    async def _ask(self, customer: Session, alarms: Sequence[Alarm]) -> None:
        await customer.perform(requests.write(alarms))
        for each in questions(self._stored):
            given = await customer.perform(
                requests.query_avg(each.metric, each.start, each.end, each.bucket)
            )
            self.outcome.answers.append(Answer(each, given))
