"""Collateral from a small server that answers as the PCCS API says; not tried with a real one."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import quote as percent

import pytest
from aiohttp import web

from attestation.errors import CollateralUnavailableError
from attestation.pccs import fetch
from attestation.soft import processor
from tests.unit.attestation.simulated import Scene, scene

_API = "/sgx/certification/v4"


@asynccontextmanager
async def _service(made: Scene) -> AsyncIterator[str]:
    """Hands out the scene's collateral; Intel, "Provisioning Certification Service" API version 4."""
    supply = made.collateral

    async def pck_crl(_: web.Request) -> web.Response:
        chain = {"SGX-PCK-CRL-Issuer-Chain": percent(supply.pck_crl_issuer_chain)}
        return web.Response(body=bytes.fromhex(supply.pck_crl), headers=chain)

    async def root_crl(_: web.Request) -> web.Response:
        return web.Response(text=supply.root_ca_crl)

    async def tcb(request: web.Request) -> web.Response:
        if request.query["fmspc"].upper() != processor.FMSPC.hex().upper():
            raise web.HTTPNotFound
        chain = {"TCB-Info-Issuer-Chain": percent(supply.tcb_info_issuer_chain)}
        return web.Response(
            text=f'{{"tcbInfo":{supply.tcb_info},"signature":"{supply.tcb_info_signature}"}}',
            headers=chain,
        )

    async def identity(_: web.Request) -> web.Response:
        chain = {"SGX-Enclave-Identity-Issuer-Chain": percent(supply.qe_identity_issuer_chain)}
        signature = supply.qe_identity_signature
        return web.Response(
            text=f'{{"enclaveIdentity":{supply.qe_identity},"signature":"{signature}"}}',
            headers=chain,
        )

    app = web.Application()
    for path, answer in (
        ("pckcrl", pck_crl),
        ("rootcacrl", root_crl),
        ("tcb", tcb),
        ("qe/identity", identity),
    ):
        app.router.add_get(f"{_API}/{path}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_collateral_of_a_service_verifies_the_platforms_evidence() -> None:
    made = scene()
    async with _service(made) as url:
        fetched = await fetch(url, made.evidence.data, wait=30)
    assert json.loads(fetched.tcb_info) == json.loads(made.collateral.tcb_info)
    assert replace(made, collateral=fetched).claims() == made.claims()


async def test_a_service_that_is_not_there_is_named() -> None:
    nobody = "http://127.0.0.1:1"
    with pytest.raises(CollateralUnavailableError, match=rf"{nobody} gives no .*error sending"):
        await fetch(nobody, scene().evidence.data, wait=30)


async def test_a_service_that_does_not_answer_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(CollateralUnavailableError, match="no answer within 1"):
            async with asyncio.timeout(20):
                await fetch(url, scene().evidence.data, wait=1)


async def test_what_is_no_quote_is_not_asked_about() -> None:
    with pytest.raises(CollateralUnavailableError, match="Failed to parse quote"):
        await fetch("http://127.0.0.1:1", b"nonsense", wait=30)
