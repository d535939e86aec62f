"""The trivial approach: a static map instead of the Routing Manager, changed at run time through the admin socket."""

import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from lb_lua.admin import Admin, AdminError
from standby.ids import Uid
from tests.support.balancer import Balancer, balancer
from tests.support.certificates import Certificates
from tests.support.echo_server import EchoServer, echo_server

BOB = Uid("bob")


@pytest.fixture(scope="module")
def static_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # a directory as a user may have one: HAProxy's parser sees each of these characters
    return tmp_path_factory.mktemp("an $odd (\"quoted\") 'name'") / "users, all.map"


@pytest.fixture(scope="module")
def lb(static_map: Path) -> Iterator[Balancer]:
    with balancer(static_map.parent / "run", static_map=static_map) as running:
        yield running


@pytest.fixture
def admin(lb: Balancer) -> Admin:
    return Admin(lb.settings.admin_socket)


@pytest.fixture
async def servers(certificates: Certificates) -> AsyncIterator[tuple[EchoServer, EchoServer]]:
    async with echo_server(certificates, "a") as first, echo_server(certificates, "b") as second:
        yield first, second


async def refused(lb: Balancer, uid: str, context: ssl.SSLContext) -> str:
    with pytest.raises(ssl.SSLError) as caught:
        await lb.say(uid, context, "hello")
    return str(caught.value.reason)


async def test_a_user_is_added_moved_and_removed_while_haproxy_runs(
    lb: Balancer,
    admin: Admin,
    static_map: Path,
    servers: tuple[EchoServer, EchoServer],
    context: ssl.SSLContext,
) -> None:
    assert await refused(lb, BOB, context) == "TLSV1_UNRECOGNIZED_NAME"
    for server in servers:
        await admin.put(static_map, BOB, "127.0.0.1", server.port)
        assert await lb.say("BOB", context, "hello") == f"{server.name}:hello"
        assert await lb.logged(uid=BOB, to=f"127.0.0.1:{server.port}")
    assert await admin.entries(static_map) == {BOB: f"127.0.0.1:{servers[1].port}"}
    await admin.remove(static_map, BOB)
    await admin.remove(static_map, BOB)
    assert await refused(lb, BOB, context) == "TLSV1_UNRECOGNIZED_NAME"
    assert (await lb.logged(uid=BOB, refusal="unknown_user"))["to"] == "-:-"


async def test_a_map_file_written_before_the_start_is_used(
    tmp_path: Path, servers: tuple[EchoServer, EchoServer], context: ssl.SSLContext
) -> None:
    users = tmp_path / "users.map"
    users.write_text(f"ann 127.0.0.1:{servers[0].port}\nben 127.0.0.1:{servers[1].port}\n")
    with balancer(tmp_path / "run", static_map=users) as lb:
        assert await lb.say("ann", context, "hello") == "a:hello"
        assert await lb.say("ben", context, "hello") == "b:hello"


async def test_an_ipv6_place_is_understood(
    lb: Balancer, admin: Admin, static_map: Path, context: ssl.SSLContext
) -> None:
    await admin.put(static_map, Uid("six"), "::1", 1)
    assert await refused(lb, "six", context) == "TLSV1_ALERT_INTERNAL_ERROR"
    assert (await lb.logged(uid="six"))["to"] == "::1:1"


@pytest.mark.parametrize("place", ["nowhere", "example.org:80", "127.0.0.1", ":80", "[::1"])
async def test_a_place_that_is_none_leads_nowhere(
    lb: Balancer, admin: Admin, static_map: Path, context: ssl.SSLContext, place: str
) -> None:
    uid = f"lost-{abs(hash(place))}"
    await admin.ask(f"add map {str(static_map).replace(' ', chr(92) + ' ')} {uid} {place}")
    assert await refused(lb, uid, context) == "TLSV1_ALERT_INTERNAL_ERROR"


async def test_the_admin_client_says_what_haproxy_complains_about(admin: Admin) -> None:
    with pytest.raises(AdminError, match="Unknown map"):
        await admin.put(Path("/no/such.map"), BOB, "127.0.0.1", 1)


async def test_the_admin_client_says_that_haproxy_is_away(tmp_path: Path) -> None:
    with pytest.raises(AdminError, match="is it running"):
        await Admin(tmp_path / "none.sock").info()


async def test_info_tells_the_process(lb: Balancer, admin: Admin) -> None:
    info = await admin.info()
    assert info["Pid"] == str(lb.process.pid)
    assert info["Nbthread"] == str(lb.settings.threads)
