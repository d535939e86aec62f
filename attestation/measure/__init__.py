"""The measurement of a launch: one number for all that decides what a process without an enclave will do.

errors      what keeps a launch from being measured
manifest    the measurement itself: entries, their hash, what differs between two of them
launch      what is measured, as plain data, and the manifest of it
tree, watch, directory, listing, seen   the files: found, and looked at again, with what came and went in between
digests     each read once, and then known again by what the kernel says about it
interpreter what a Python interpreter would import, and from where

In the measurement, each with a name that is the same on every machine: the interpreter, the shared libraries that it
loads, every file of every place that it imports from, the application's files, the arguments in their order, the
variables that are passed, the paths that may be used. Not in it, because each server has its own: what placeholders
stand for (slot directory, descriptor, port, boot id). They are measured as placeholders. Nor are absolute paths of
these files, so the same files elsewhere measure the same; and nor are the values of variables that only say where the
operator keeps something. The measurement says that such a variable may have any value.

Bytecode. Python runs a `.pyc` in place of the source that it believes it was made from, and believes it for a time and
a size that anybody can write there; the option `-B` only keeps it from writing more. So the measurement has the caches
if and only if the launch reads them, but for one case: caches that whoever measures has made, from the files that are
measured, and keeps (`app_wrapper.measuring`). A launch that reads none (`interpreter.NO_BYTECODE`) compiles all that it
imports at each start. Caches beside the sources are files like others, and since Python writes them when it first
imports something, the measurement changes until all are there. Rejected: to believe caches that have the hash of their
source in them, as that says nothing about the bytecode beside it.

What it costs grows with the files that can be imported, as each is looked at each time: 3.6 us a file when all are
known, of which the system call is 2.6, and about 65 us when their content is read from the page cache. Measured here:
1048 files (standard library and this project) 3.5 ms; 10437 (with all tools of its developers) 38 ms. The first
measurement is made with a start of the interpreter that is asked, and takes 0.5 s and 1.7 s. So what is not needed is
better not installed, and a measurement belongs where nobody waits for it.

What it proves: that these files had this content when they were looked at, and with the times of their last changes
also that none of it was another one since a moment before (`Watch`), if whoever measures is honest and the clock is
right. It says nothing about what a process loads later from elsewhere, or about its memory once it runs. The host can
change all of that.

A server that is forked from a template has the measurement of the template's launch. That is proved: which program,
arguments and variables the template was started with. Not proved: that the template's memory was still what its
program makes of it when it forked. Whoever changes the template's memory changes all servers that are forked later,
and their measurement stays. A server's own variables come after the fork, and are measured as placeholders in either
case.
"""
