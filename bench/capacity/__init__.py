"""How many standby servers for so many users: `python -m bench.capacity`.

erlang.py         the queue; pure
model.py          pool, nodes, memory; pure
report.py         the result as text
chart.py          pool and memory against the active user ratio, as SVG
page.py           the result as one HTML page, with page.html
"""
