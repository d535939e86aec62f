"""Errors as people read them: never as the expression that would make them again."""

import errno
import os
import socket
import ssl

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from standby.errors import UnavailableError, words

_KEY = ConnectionKey("127.0.0.1", 9, False, True, None, None, None)  # aiohttp's form
_REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 9)")
_UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
_MISMATCH = ssl.SSLError(errno.ESTALE, "OpenSSL's number 116 is no error of the system")
_MISMATCH.reason = "KEY_VALUES_MISMATCH"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (TimeoutError(), "no answer in time"),
        (TimeoutError("no server in 3 s"), "no server in 3 s"),
        (_REFUSED, os.strerror(errno.ECONNREFUSED)),
        (aiohttp.ClientConnectorError(_KEY, _REFUSED), os.strerror(errno.ECONNREFUSED)),
        (aiohttp.ServerDisconnectedError(), "Server disconnected"),
        (FileNotFoundError(errno.ENOENT, "x", "/no/where"), "/no/where: No such file or directory"),
        (TimeoutError(errno.ETIMEDOUT, "x"), os.strerror(errno.ETIMEDOUT)),
        (OSError("only a text"), "only a text"),
        (_MISMATCH, "key values mismatch"),
        (ssl.SSLError(errno.EINVAL, "made by hand"), "TLS error"),
        (aiohttp.ClientConnectorError(_KEY, _UNKNOWN), "Name or service not known"),
        (UnavailableError("come again"), "come again"),
        (ValueError(), "ValueError"),
    ],
    ids=repr,
)
def test_an_error_is_told_in_words(error: BaseException, text: str) -> None:
    assert words(error) == text
