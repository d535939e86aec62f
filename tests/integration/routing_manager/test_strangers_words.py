"""Whatever a stranger sends to a part's listeners is a few short lines in its log, and no error of ours."""

import asyncio
import json
import os
import ssl
import sys
from typing import Any

import pytest

from routing_manager.settings import PREFIX, Settings
from standby import http_log
from standby.identity import Role
from standby.settings import to_environ
from standby.web import MOST_REFUSALS
from tests.support.certificates import Certificates

TIMES = 150
DEADLINE = 60.0
PLAIN = {
    "no HTTP": b"\x16\x03\x01 hello\r\n\r\n",
    "an escape sequence": b"GET /\x1b[31m HTTP/1.1\r\n\r\n",
    "another protocol": b"GET / SMTP/1.0\r\n\r\n",
    "a long line": b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length that is none": b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "chunks that are none": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "bytes of no alphabet": b"\xff" * 1000 + b"\r\n\r\n",
    "a path of no alphabet": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    "a percent too much": b"GET /v1/route/%00%1b%e2%80%ae HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown method": b"STEAL / HTTP/1.1\r\nHost: x\r\n\r\n",
    "an unknown path": b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
    "half a request": b"GET / HT",
    "an order": b"POST /v1/wrappers/w1/drain HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "a source of no alphabet": b"GET /v1/route/UPPER_CASE?source=%1b%5b HTTP/1.1\r\nHost: x\r\n\r\n",
}
TLS = {
    "no TLS": b"GET / HTTP/1.1\r\n\r\n",
    "nothing": b"",
    "half a record": b"\x16\x03\x01\x02\x00\x01",
    "bytes": bytes(range(256)),
}


async def _send(address: str, content: bytes) -> None:
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(content)
        await writer.drain()
        writer.write_eof()
        await reader.read()
    except OSError:
        pass  # it was told to leave
    finally:
        writer.close()


async def _without_certificate(address: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    host, port = address.rsplit(":", 1)
    try:
        reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.read()
        writer.close()
    except OSError:
        pass  # as it should be


def _log(lines: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines]


@pytest.fixture
def settings(certificates: Certificates) -> Settings:
    files = certificates.part(Role.ROUTING_MANAGER, "routing-manager")
    return Settings(
        port=0,
        control_port=0,
        settle=0.0,
        tls_certificate=files.certificate,
        tls_key=files.key,
        tls_authorities=files.authorities,
    )


async def test_what_is_no_request_is_no_error_and_is_sampled(settings: Settings) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "routing_manager",
        env={**os.environ, **to_environ(settings, PREFIX)},
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    assert process.stderr is not None
    lines: list[bytes] = []
    try:
        async with asyncio.timeout(DEADLINE):
            while not any(b'"listening"' in line for line in lines):
                lines.append(await process.stderr.readline())
            listening = _log(lines)[-1]
            plain, control = (listening[each].split("//")[1] for each in ("url", "control_url"))
            for _ in range(TIMES):
                await asyncio.gather(*(_send(plain, each) for each in PLAIN.values()))
                await asyncio.gather(*(_send(control, each) for each in TLS.values()))
                await _without_certificate(control)
            process.terminate()
            rest = await process.stderr.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    records = _log(rest.splitlines())
    loud = [
        each for each in records if each["level"] in {"ERROR", "CRITICAL"} or "exc_info" in each
    ]
    assert loud == []
    unreadable = [each for each in records if each["event"] == "request_unreadable"]
    kinds = {each["kind"] for each in unreadable}
    assert 0 < len(unreadable) <= 2 * http_log.MOST * len(kinds)  # at most two periods
    assert all(str(each["text"]).isprintable() for each in unreadable)
    refused = [each for each in records if each["event"] == "request_refused"]
    codes = {each["code"] for each in refused}
    assert len(refused) <= 2 * MOST_REFUSALS * len(codes)
    assert all(len(json.dumps(each)) < 1500 for each in records)
