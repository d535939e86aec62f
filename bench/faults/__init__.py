"""Real clients of a real platform while its parts are killed and stopped; afterwards every database is compared.

What happens (the shells):
    run.py        one run from start to end
    place.py      what it was asked for, and where its files lie
    clients.py    meters and customers, each writing its own history
    injector.py   carries out the faults, one at a time
    targets.py    which process a fault hits
    watch.py      a thread that looks for two processes with one user's database open

What is decided (pure):
    plan.py       which faults, in which order, from the seed
    rows.py       readings and alarms that show whose they are
    history.py    the records of clients and faults, and what follows from them
    verdict.py    every wrong, with its evidence
    conditions.py what a run must not show, and what it must show to say anything
    impact.py     what the faults cost the clients
    sent.py       what a user sent, and where each stored row belongs in it
    report.py     the result as data and as text

What reads the evidence:
    stored.py     a user's database
    logs.py       the parts' logs
    comparison.py all of it, put together to the result
"""
