"""`python -m tests.integration.lb_lua.networks DIRECTORY`, in a network namespace: how many strangers are let in.

Two addresses of one IPv6 network of 64 bits come first, then one of another network.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from tests.support.balancer import balancer
from tests.support.strangers import strangers


def main(directory: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in ("2001:db8::1/64", "2001:db8::2/64", "2001:db8:0:1::1/64"):
        subprocess.run(["ip", "address", "add", address, "dev", "lo", "nodad"], check=True)
    limits = {"unrouted_connections": 45, "source_share": 8, "client_hello": 60.0}
    with (
        balancer(directory, host="::1", routing_manager_port=1, **limits) as lb,
        strangers(lb.address) as first,
        strangers(lb.address) as second,
    ):
        for number in range(20):
            first.come(1, source=f"2001:db8::{1 + number % 2}")
        asyncio.run(first.until_open(5))
        second.come(20, source="2001:db8:0:1::1")
        asyncio.run(second.until_open(4))
        print(
            json.dumps({"one network, two addresses": first.open, "another network": second.open})
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
