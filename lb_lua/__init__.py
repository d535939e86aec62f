"""The load balancer: HAProxy peeks at the TLS server name and connects the client to the process that serves that user.

HAProxy runs in TCP mode and never opens TLS. There is no list of servers in its configuration: for every connection
the Lua hook asks the Routing Manager (`route.lua`), or a static map says it (approach `trivial`), and the destination
is set from the answer. Whoever cannot be connected gets a TLS alert rather than a silent close (`refusals.lua`).

    settings.py          what can be set
    config.py            settings -> HAProxy's configuration, pure; the text is in the *.cfg files
    __main__.py          writes it, has HAProxy check it, becomes HAProxy
    routes.py            where sessions are when HAProxy starts, by what the wrappers say
    admin.py             HAProxy's admin socket: static map entries at run time, readiness
    route.lua            the hook: one action per connection, one state per thread
    exchange.lua         one HTTP request over a kept or a fresh connection
    protocol.lua, json.lua   what is sent and what is accepted, pure
    address.lua          IP addresses as texts and as the numbers HAProxy remembers
    serves.lua           tells whoever started HAProxy that it serves
    refusals.lua         which alert says which refusal

Strangers are held to budgets before anything is read (`users.cfg`), so that a few sources cannot shut others out.

Promised: a connection stays open, however quiet, as long as a session may; a route is used only if every field of it is
well-formed; without an answer the connection is refused within `route_query` seconds.

Not promised: a remembered route may lead to a process that has ended meanwhile, or to a fresh process on the same
port. The server process and the volume are what keeps users apart; a wrong route costs a refused LOGIN.

A Routing Manager that accepts connections and does not answer (stopped, not dead) counts as away only after
`route_query`, because an answer may be waiting for a free server; users with a remembered route are connected then.

A client that resets its connection while its answer is awaited shows in HAProxy's log as "aborting Lua processing";
nothing is left of it.

Not supported: a ClientHello cut into several TLS records (HAProxy reads one record); it ends as no ClientHello does.
"""
