"""What standby servers cost beside the trivial approach, for somebody in particular: `python -m bench.costs`.

model.py          the total, from weights and alphas; pure
profiles.toml     who weighs what, and why
alphas.py         alphas from what an experiment measured; pure
files.py          both read from files
report.py         a result as text
"""
