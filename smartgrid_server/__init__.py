"""The example application: one process that serves one user's encrypted meter readings over HTTPS.

A standby server starts, says WAITING_LOGIN and holds nobody's data. The first user who logs in owns the process for
good: his volume is claimed, his database opened with the key he sent, and when the last of his clients has logged out
(or the session expired) the database is closed and the process ends. "One user per process" is enforced here, whatever
the platform around it believes.

    settings      what can be set
    messages      the JSON of the API, with its limits
    errors        what can go wrong, with stable codes
    session       whose process this is and who may call: decisions only, no clock, no I/O
    cipher        keyed connections to SQLCipher files, and what their failures mean
    database      one user's tables
    worker        the one thread that touches the database
    wrapper_link  the line protocol on stdin and stdout
    tls           a certificate for the name that is asked for, made in this process
    attesting     proves what this process is, to its wrapper and to clients
    freshness     whether the user's data is what it was when it was left
    hardening     what the process gives up
    connections   the listener, and the end of connections that do not log in
    service       carries the session's decisions out
    handlers, app the HTTP API
"""
