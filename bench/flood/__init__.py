"""How long users wait while strangers without a certificate flood the load balancer.

    strangers.py    what a flood is made of, and the process it runs in
    stranger.py     that process
    users.py        the user whose LOGIN is timed, and the one whose session is used again
    __main__.py     each flood from one address and from sixteen, and the table of waits

The strangers and the users share this machine's processors, so the strangers' process is nice: on the wire an attacker
takes none of the platform's time but what the platform gives away.
"""
