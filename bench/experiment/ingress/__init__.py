"""The load balancer by itself, in front of many backends: what the routing hook costs against a static map.

The dissertation picked its load balancer with such a benchmark (section 4.3.3, figures 4.4 and 4.5): 800 backends, one
or two clients each, TLS and SNI, latency and its tail against throughput.

hello.py          the exchange: a user's ClientHello, what a backend answers
backends.py       a process that listens in place of every user's server
manager.py        a Routing Manager that was told of them
balancers.py      HAProxy with the hook, or with a static map
load.py           how many connections, when; what came of them
exchange.py       one connection, from the client's side
driver.py         the load generator, a process of its own
stage.py          all of it, started and ended together; the entry for experiments

**What is left out.** The cryptography of the TLS handshake. The load balancer reads the ClientHello and copies bytes;
it never opens TLS, so what it does does not depend on what the two ends compute. A mutual handshake costs the ends
several times what the load balancer costs, and on a small machine, where all of them share the processors, it would be
the handshake that is measured. So a client sends a real TLS 1.3 ClientHello with the user's name, and the backend
answers with one record and closes. What a whole connection costs is measured with whole platforms elsewhere.

**Ways.** `static`: the map says it. `hook`: users with a session, connecting again; HAProxy uses a route that it
remembers once and then asks the Routing Manager, in turns (`recalled.cfg`), so every second connection asks.
`hook-first`: the same hook with room for two remembered routes instead of 20,000, so that the Routing Manager is asked
about (nearly) every connection, as it is about users who come for the first time. `Driven.asked` says how often it was.

**Settings that are not the defaults.** All connections come from one address, so neither what one source may take nor
the rate is limited (`source_share`, `connection_rate`). Remembered routes are kept for a day (`session_length`), so
that a long run of one way does not make the other one forget. The Routing Manager's caps for one source hold for
promised servers, of which there are none: every backend is an ACTIVE server of its user.
"""
