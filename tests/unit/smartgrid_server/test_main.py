"""What a server refuses to start with."""

import asyncio
import socket

import pytest

from smartgrid_server import main
from smartgrid_server.settings import Settings
from standby.settings import SettingsError
from tests.support.certificates import Certificates


async def test_neither_a_channel_nor_an_issuer_is_an_error_in_the_settings(
    certificates: Certificates,
) -> None:
    settings = Settings(client_authorities=certificates.users_ca)
    with pytest.raises(SettingsError, match="SMARTGRID_ISSUER_CERTIFICATE is not set"):
        await main.run(settings, asyncio.Event())


async def test_files_do_not_stand_in_for_a_channel_that_does_not_work(
    certificates: Certificates,
) -> None:
    stream, other = socket.socketpair()
    with other:
        settings = Settings(
            client_authorities=certificates.users_ca,
            issuer_certificate=certificates.issuer_certificate,
            issuer_key=certificates.issuer_key,
            attest_fd=stream.detach(),
        )
        with pytest.raises(SettingsError, match="the channel to the wrapper cannot be used"):
            await main.run(settings, asyncio.Event())
