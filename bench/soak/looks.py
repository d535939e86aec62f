"""Reads what the platform uses: each part's processes from /proc, and the directories of the state directory.

Everything is read from outside, so a part that keeps wrong books about itself cannot hide anything. Processes and files
come and go meanwhile; what is gone is left out.
"""

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import processes
from bench.soak.figures import Figure
from standby_cli.endpoints import Pids
from standby_cli.layout import Layout

Values = Mapping[tuple[str, Figure], float]
"""By part or directory."""
SERVERS: Final = "a server"
"""All servers are one part, and its values are means, because their number changes from moment to moment."""
_BLOCK: Final = 512
_MIB: Final = 2**20
_KIB: Final = 2**10


@dataclass(slots=True)
class Written:
    """How many bytes were ever appended to files that may be renamed, emptied and removed."""

    total: int = 0
    _sizes: dict[int, int] = field(default_factory=dict)

    def update(self, sizes: Mapping[int, int]) -> int:
        """The total, given the present size of each file, by inode."""
        for inode, size in sizes.items():
            before = self._sizes.get(inode, 0)
            self.total += size - before if size >= before else size  # emptied, and written again
        self._sizes = dict(sizes)
        return self.total


class Looks:
    """Looks at one platform again and again."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._logs: dict[str, Written] = defaultdict(Written)
        self._audits = Written()

    def look(self, pids: Pids) -> Values:
        """Everything that can be read now."""
        values: dict[tuple[str, Figure], float] = {}
        for part, members in _members(pids, self._layout).items():
            values |= {(part, figure): value for figure, value in _of_processes(part, members)}
        for directory in sorted(_directories(self._layout.root)):
            name = f"{directory.name}/"
            files = list(_walk(directory))
            values[name, Figure.FILES] = len(files)
            if directory not in {self._layout.logs, self._layout.audit}:
                values[name, Figure.DISK] = sum(each.st_blocks for each in files) * _BLOCK / _MIB
        for part, sizes in _logs(self._layout.logs).items():
            values[part, Figure.LOG] = self._logs[part].update(sizes) / _KIB
        audits = {each.st_ino: each.st_size for each in _walk(self._layout.audit)}
        values["audit/", Figure.AUDIT] = self._audits.update(audits) / _KIB
        return values


def _members(pids: Pids, layout: Layout) -> dict[str, list[int]]:
    """The processes of each part; what a wrapper has started and is no server counts as its helpers."""
    servers = sorted(each.process.pid for each in processes.servers(layout))
    found = {"supervisor": [pids.supervisor], SERVERS: servers}
    if pids.routing_manager:
        found["routing-manager"] = _tree(pids.routing_manager)
    found["haproxy"] = _tree(pids.haproxy)
    for name, wrapper in pids.wrappers.items():
        found[name] = [wrapper]
        found[f"{name} helpers"] = sorted({*processes.descendants(wrapper)} - {*servers})
    return {part: members for part, members in found.items() if members}


def _tree(pid: int) -> list[int]:
    return [pid, *processes.descendants(pid)]


def _of_processes(part: str, members: Iterable[int]) -> Iterator[tuple[Figure, float]]:
    used = []
    for pid in members:
        with contextlib.suppress(OSError):  # it has ended, or is another account's
            used.append(processes.usage(pid))
    yield Figure.PROCESSES, len(used)
    if used:
        share = len(used) if part == SERVERS else 1
        yield Figure.MEMORY, sum(each.anonymous for each in used) / _KIB / share
        yield Figure.DESCRIPTORS, sum(each.descriptors for each in used) / share
        yield Figure.THREADS, sum(each.threads for each in used) / share


def _directories(root: Path) -> Iterator[Path]:
    return (each for each in root.iterdir() if each.is_dir())


def _walk(directory: Path) -> Iterator[os.stat_result]:
    """Everything below, itself left out."""
    for parent, directories, files in os.walk(directory):
        for name in (*directories, *files):
            with contextlib.suppress(OSError):
                yield os.lstat(os.path.join(parent, name))  # noqa: PTH118  # hot


def _logs(directory: Path) -> dict[str, dict[int, int]]:
    """Size by inode of every log of each part; rotated ones have the part's name and more after it."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for file in directory.iterdir():
        part, dot, _ = file.name.partition(".log")
        if dot:
            with contextlib.suppress(OSError):
                status = file.stat()
                found[part][status.st_ino] = status.st_size
    return found
