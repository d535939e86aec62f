"""The operator's `standby` command: runs every part on one machine, enrolls users, shows what is going on.

main.py           the commands and their options
up.py, down.py    starting and stopping a platform in a state directory
layout.py         where things lie in that directory
authorities.py    the three certificate authorities and the parts' certificates
parts.py          which processes make a platform: their settings, and when they are ready
supervisor.py     keeps those processes running
endpoints.py      `endpoints.json`: how others find a running platform
control.py        calls of the parts' HTTP APIs
enrollment.py     users, their databases and their certificates
status.py         what `standby status` prints
demo/             the whole platform on real readings
"""
