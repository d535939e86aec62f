"""The evaluation: `python -m bench.experiment PLAN.toml --out DIR` runs a plan, and reports it as one page.

plans/            what is run, as data; plan.py reads it, order.py says which run comes after which
schedule.py       who sends what at which moment, decided before a run, the same for every approach
load/             the load generator, a process of its own: Locust, users over mutual TLS
stages.py         platforms under test; sessions.py, startup.py, ingress/: one run of each kind
resources.py      what the platform's processes use meanwhile
runner.py         all runs of a plan, with time left; a run that is complete is not repeated
record.py         the result as data; validity.py, statistics.py, summary.py, conclusions.py make it
results.py        the result read again; figures/, published.py, report.py show it
"""
