"""The kernel: what every part of the platform shares, and nothing one part alone needs.

It imports none of the other packages (a failing check, see `pyproject.toml`). A server process loads it too,
so a module here imports heavy libraries only if each of its users needs them.
"""
