from prometheus_client import CollectorRegistry

from app_wrapper.app import endpoints, openapi
from standby.identity import Role


def test_whatever_changes_something_needs_a_certificate() -> None:
    for endpoint in endpoints(CollectorRegistry()):
        wanted = {Role.OPERATOR, Role.ROUTING_MANAGER} if endpoint.method != "GET" else set()
        assert endpoint.roles == wanted, endpoint.path


def test_the_description_covers_the_table() -> None:
    paths = openapi()["paths"]
    for endpoint in endpoints(CollectorRegistry()):
        assert endpoint.method.lower() in paths[endpoint.path]
    assert "unknown_user" in paths["/v1/users/{uid}"]["put"]["responses"]["404"]["description"]
