"""A platform in steady use for minutes or hours: does anything of it grow?

Meters and customers log in and out, a stranger without a certificate sends made-up names, now and then a server is
killed. All of that is as much in the last minute as in the first, and what is written is the same again and again, so
nothing of the platform has a reason to grow.

What happens (the shells):
    run.py        one run from start to end
    users.py      meters and customers
    looks.py      reads processes and directories now and then

What is decided (pure):
    figures.py    what is measured, and how much more of it is no growth
    growth.py     the trend of a figure, and whether it grows
    report.py     the result as data and as text
"""
