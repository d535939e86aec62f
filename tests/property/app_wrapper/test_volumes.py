"""Volume claims of several wrappers that die and return at any moment, against a model of one dict.

As root, their servers have uids of their own or not, and the model says whose the data must be.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from app_wrapper.volumes import (
    ClaimedElsewhereError,
    StaleReleaseError,
    VolumeUnavailableError,
)
from app_wrapper.volumes.hostpath import HostPathVolumes
from standby.ids import BootId, Generation, Uid, WrapperId
from tests.support.volume_contract import holder

USERS: Final = [Uid("anna"), Uid("bert")]
WRAPPERS: Final = ["w1", "w2"]
users = st.sampled_from(USERS)
wrappers = st.sampled_from(WRAPPERS)
server_uids = st.sampled_from([None, 700_000, 700_001] if os.geteuid() == 0 else [None])


class VolumesMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(prefix="volumes-")
        self.root = Path(self.directory.name)
        for uid in USERS:
            data = HostPathVolumes(self.root).create(uid)
            (data / "file").write_text("data")
        self.held: dict[Uid, tuple[str, Generation, BootId]] = {}
        """Wrapper, generation and process of every living claim."""
        self.owners = dict.fromkeys(USERS, os.geteuid())
        """Of each volume's data."""
        self.left: dict[Uid, str] = {}
        """Claims whose wrapper has died, by user."""
        self.last = dict.fromkeys(USERS, 0)
        self.boots = 0
        self.orphans_end = True
        self.providers = {name: self._open() for name in WRAPPERS}

    def _open(self) -> HostPathVolumes:
        return HostPathVolumes(self.root, end_orphan=lambda *_: self.orphans_end)

    @rule(wrapper=wrappers, uid=users, server_uid=server_uids)
    def claim(self, wrapper: str, uid: Uid, server_uid: int | None) -> None:
        self.boots += 1
        asking = holder(self.boots, wrapper)
        # a pid, so that its end is a question; nobody is killed, see `_open`
        asking = type(asking)(
            wrapper_id=asking.wrapper_id,
            epoch=asking.epoch,
            boot_id=asking.boot_id,
            pid=1,
            start_time=1,
            server_uid=server_uid,
        )
        try:
            volume = self.providers[wrapper].claim(uid, asking)
        except ClaimedElsewhereError as denied:
            named = denied.boot_id
            assert named == self.held[uid][2]
        except VolumeUnavailableError:
            assert uid in self.left
            assert not self.orphans_end
        else:
            assert uid not in self.held, "two writers"
            assert uid not in self.left or self.orphans_end, "the orphan may still write"
            assert volume.generation == self.last[uid] + 1
            self.last[uid] = volume.generation
            self.held[uid] = (wrapper, volume.generation, asking.boot_id)
            self.left.pop(uid, None)
            self.owners[uid] = os.geteuid() if server_uid is None else server_uid

    @rule(wrapper=wrappers, uid=users, back=st.integers(0, 2))
    def release(self, wrapper: str, uid: Uid, back: int) -> None:
        """Of the present generation, or an older one."""
        generation = Generation(self.last[uid] - back)
        mine = uid in self.held and self.held[uid][:2] == (wrapper, generation)
        try:
            self.providers[wrapper].release(uid, generation)
        except StaleReleaseError:
            assert not mine
        else:
            assert mine
            del self.held[uid]
            self.owners[uid] = os.geteuid()

    @rule(wrapper=wrappers)
    def dies_and_returns(self, wrapper: str) -> None:
        self.providers[wrapper].close()
        for uid, (owner, _, _) in list(self.held.items()):
            if owner == wrapper:
                del self.held[uid]
                self.left[uid] = wrapper
        self.providers[wrapper] = self._open()

    @rule(wrapper=wrappers)
    def recovers(self, wrapper: str) -> None:
        recovered = self.providers[wrapper].recover(WrapperId(wrapper))
        mine = sorted(uid for uid, owner in self.left.items() if owner == wrapper)
        assert recovered == (mine if self.orphans_end else [])
        for uid in recovered:
            del self.left[uid]
            self.owners[uid] = os.geteuid()

    @rule(end=st.booleans())
    def orphans_can_be_ended(self, end: bool) -> None:
        self.orphans_end = end

    @invariant()
    def the_list_tells_the_truth(self) -> None:
        for info in self.providers["w1"].list():
            assert info.generation == self.last[info.uid]
            assert (info.holder is not None) == (info.uid in self.held or info.uid in self.left)
            if info.uid in self.held:
                assert info.holder is not None
                assert info.holder.boot_id == self.held[info.uid][2]

    @invariant()
    def data_is_its_servers_or_the_wrappers(self) -> None:
        for uid, owner in self.owners.items():
            data = self.root / uid / "data"
            assert {each.stat().st_uid for each in (data, data / "file")} == {owner}

    def teardown(self) -> None:
        for provider in self.providers.values():
            provider.close()
        self.directory.cleanup()


TestVolumes = VolumesMachine.TestCase
TestVolumes.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
