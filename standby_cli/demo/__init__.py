"""`standby demo`: the whole platform on real meter readings, every answer checked against the readings themselves.

scenario.py   who does what: households, their batches, their questions (pure)
households.py one household's meter and customer, over the real client library
watch.py      the pool's states over time, as `standby status` sees them
checks.py     what must hold, and whether it does (pure)
result.py     the numbers, as tables for people and as data
main.py       starts the platform, runs all of it, ends the platform
"""
