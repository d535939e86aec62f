"""The load generator: `python -m bench.experiment.load JOB.json`, a process of its own.

It is a process of its own because Locust runs users as greenlets and changes Python's standard library for that, as
soon as it is imported, and because what it uses of the processor must be told apart. Nobody but its own main module
imports this package.

main      lanes begin together; one line of JSON at the end
users     Locust's users: meters and customers, each going through its sessions as planned
link      one connection, mutual TLS, SNI = uid
recorder  one row for every request
"""

import locust  # noqa: F401  # changes `ssl` and `socket`, so before anything imports those
