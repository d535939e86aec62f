"""The App Wrapper: keeps a pool of server processes, and brings users' data to them.

It knows nothing of the application but its `app.toml`: how to start it, and which lines of its output mean what.

    settings      what can be set
    application   `app.toml`, checked when it is loaded
    process, actions      one server process as the pool sees it; what the pool wants done
    pool          every decision, pure; agenda (timers), backoff, tickets and deadlines belong to it
    launchers/    how a server process is started
    sidecar       the shell around one server process; output (its lines), listening (its socket)
    volumes/      how users' data gets in and out; desk is the asyncio side
    epoch, outbox, reporter       what the Routing Manager is told, and how
    supervisor    carries the pool's decisions out
    app, views, metrics, wrapper  the HTTP side, and all of it put together

Promised: a process is never given to two users; a volume is given back only after its process is gone; servers die
with the wrapper. Not promised: that processes which a server itself has started outlive or end with a killed wrapper.
"""
