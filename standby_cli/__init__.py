"""The operator's `standby` command: runs every part on one machine, enrolls users, shows what is going on.

main.py           where each command is; a command's module is imported when it is called (lazy.py)
*_command.py      the commands and their options, as far as they are not in the module of what they are about
foreground.py, background.py   the supervisor: in this process, or in one of its own
up.py, down.py    starting and stopping a platform in a state directory; running.py: whether one runs there
layout.py         where things lie in that directory
authorities.py    the three certificate authorities, each wrapper's issuer, the parts' certificates
seal.py           the key that seals the platform's private keys on disk
trusted.py        by what servers are admitted: the policy, and the simulated platform
program.py        what wrappers will start, measured
environs.py       what wrappers have in their environment for attestation and for their servers
surroundings.py   settings and places, looked at first; preflight.py: the rest that is looked at before a start
options.py        what `standby up` was asked for
parts.py          which processes make a platform, and their settings
platform.py       whether all of them are ready
refusal.py        when a start is given up because no server is admitted
supervisor.py     keeps those processes running
endpoints.py      `endpoints.json`: how others find a running platform
control.py        calls of the parts' HTTP APIs
orders.py         orders to a running supervisor; order_service.py: its end of them
enrollment.py     users, their databases and their certificates
status.py         what `standby status` prints
assurance.py      what it says of attestation and hardening
audit.py          `standby audit`: the logs of verdicts
policy.py         `standby policy`; measure.py: `standby measure`
demo/             the whole platform on real readings
"""
