"""Lines of text, however their bytes say them."""

import io
import os
import threading
from pathlib import Path

import pytest

from smartgrid_client.texts import LONGEST, NotTextError, Source, lines

TEXT = "timestamp,power\n900,1.5\nZähler Ω,2\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_encoding_and_line_end_gives_the_same_lines(encoding: str, end: str) -> None:
    raw = TEXT.replace("\n", end).encode(encoding)
    assert list(lines(io.BytesIO(raw))) == ["timestamp,power", "900,1.5", "Zähler Ω,2"]


def test_a_big_endian_mark_is_understood_and_the_last_line_needs_no_end() -> None:
    assert list(lines(io.BytesIO(b"\xfe\xff" + "a\nb".encode("utf-16-be")))) == ["a", "b"]
    assert list(lines(io.BytesIO(b""))) == []


@pytest.mark.parametrize(
    "raw",
    [
        b"\x89PNG\r\n\x1a\n",
        b"a,b\n\xff\n",
        b"\xff\xfe\x00\xd8",
        "a,b\n".encode("utf-16-le"),
        b"x" * (LONGEST + 1),
    ],
    ids=["picture", "Latin-1", "half a surrogate", "UTF-16 without a mark", "a long line"],
)
def test_what_is_no_text_is_refused(raw: bytes) -> None:
    with pytest.raises(NotTextError):
        list(lines(io.BytesIO(raw)))


def test_a_pipe_can_be_read_twice_as_a_file_can(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(TEXT,))
    writer.start()
    source = Source(pipe)
    writer.join()
    assert list(source.lines()) == list(source.lines()) == TEXT.splitlines()
