"""The measurement of what a wrapper's servers are started from, taken by the wrapper.

launch     what is measured of an application's launch, from its `app.toml`
bytecode   the private directory with what the interpreter compiled, so that no server compiles it again
meter      both, asked for each server

A server's measurement is taken when it asks for its certificate, because then everything that it starts with is loaded.
It says: what is on the disk now measures as this, and none of it has changed since the server was launched. So a file
that was exchanged while the program loaded it, and put back, is noticed by its time of change. What a server loads
later is not in it but by being among the same files.

A server that is forked has the measurement of its template, taken when the template is ready: it says that the server
is a fork of a process that was started from these files. Files that change later are in the next template's
measurement, and not in that of servers which this one still forks, as they do not read them; a module that such a
server loads later is read from the disk, as anybody's is.
"""

from app_wrapper.measuring.meter import LaunchMeter

__all__ = ["LaunchMeter"]
