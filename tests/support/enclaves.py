"""Simulated enclaves that are small and quick, and what can be seen of them from outside."""

import os
from pathlib import Path
from typing import Final

from app_wrapper.launchers.simulated.parameters import (
    EpcSize,
    Memory,
    Parameters,
    Starts,
    StartTime,
)

PREFIX: Final = "/memfd:simulated-enclave-"
SMALL: Final = Parameters(
    start=Starts(
        enclave=StartTime(low=0.3, mean=0.32, high=0.35, concentration=4.0),
        container_and_enclave=StartTime(low=0.6, mean=0.62, high=0.65, concentration=4.0),
    ),
    memory=Memory(heap=4, login=4),
    # two enclaves do not fit; what they take from each other is 512 pages, and costs 0.4 s
    epc=EpcSize(size=6, swap=400_000.0, clock=512e6),
)
PAGING: Final = SMALL.epc.seconds(512)


def write(file: Path, parameters: Parameters = SMALL) -> Path:
    """The parameters as a file that an operator could have written."""
    start, memory, epc = parameters.start, parameters.memory, parameters.epc
    file.write_text(
        f"[start.enclave]\n{_lines(start.enclave)}"
        f"[start.container-and-enclave]\n{_lines(start.container_and_enclave)}"
        f"[memory]\n{_lines(memory)}[epc]\n{_lines(epc)}"
    )
    return file


def _lines(record: StartTime | Memory | EpcSize) -> str:
    return "".join(f"{name} = {getattr(record, name)}\n" for name in record.__struct_fields__)


def heaps(pid: int | None = None) -> dict[str, int]:
    """Bytes that are really taken, by the enclave's boot id."""
    found: dict[str, int] = {}
    for each in Path(f"/proc/{pid or os.getpid()}/fd").iterdir():
        try:
            link, blocks = str(each.readlink()), each.stat().st_blocks
        except FileNotFoundError:  # closed meanwhile
            continue
        if link.startswith(PREFIX):
            found[link.removeprefix(PREFIX).removesuffix(" (deleted)")] = blocks * 512
    return found
