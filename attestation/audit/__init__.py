r"""A log of verdicts in which nothing can be changed unseen: one line a JSON entry, chained by hashes and signed.

    {"entry":{"sequence":7,"previous":"<hash of 6>","at":…,"signer":"…","cut":0,"body":{…}},"hash":"…","signature":"…"}

The hash is over the entry's bytes as they stand in the file, the signature (Ed25519) over the hash, and a line has one
way only to be written. So a change of any byte is found, and so is an entry that was taken out, moved or put in.
SCONE's CAS keeps such a log; the exit statuses of `standby audit verify` are its numbers where the meaning is near.

An entry is on disk when `append` returns, so append first and act on the verdict afterwards: what took effect is in the
log, and what is in the log may not have taken effect. A crash while writing leaves an unfinished last line. It never
took effect; the next entry is written over it and says in `cut` how many bytes were there.

Not promised: a log whose end was cut off, or that was replaced by an older copy of itself, is a whole log. Only who
knows a later head (sequence and hash of the last entry) can tell; keep one elsewhere. Whoever has the signing key can
write another log, which a head kept elsewhere shows as well. The public key beside the log is there for convenience:
one who can change it and the log can replace both, so an auditor keeps his own copy.

The log is kept in segments, so that it can grow for ever and be put away in pieces. The writer closes one that has
reached its size with an entry of its own, gives it a name of its own (`audit-000000000123.jsonl`, by its last entry)
and begins the next one with another entry. The chain goes on over all of it. So segments that are closed can be moved
away, the oldest first, and what is left still says by a signature which hash the entry before it had. Nothing but the
segment that is being written is ever changed.

Rejected: a database with a hash column, because a file of lines can be read, copied and checked without our code;
chaining signatures instead of hashes, as CAS does, because a hash can be told to people and compared.

entries   one entry: bytes, hash, signature
segments  which files a log is kept in
log       the one writer
check     the whole log, from the first entry on
"""

from attestation.audit.check import Result, verify
from attestation.audit.entries import KEY_FILE, LOG_FILE, Head, Outcome, read_public_key
from attestation.audit.log import AuditError, AuditLog
from attestation.audit.segments import in_order, segments

__all__ = [
    "KEY_FILE",
    "LOG_FILE",
    "AuditError",
    "AuditLog",
    "Head",
    "Outcome",
    "Result",
    "in_order",
    "read_public_key",
    "segments",
    "verify",
]
