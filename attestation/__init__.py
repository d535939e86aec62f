"""What a server must have before a client trusts it: a certificate, and proof of what the process is.

In use today is the certificate alone: it is made inside the server process, for a key that never leaves it, with an
issuing key that every server of a pool is handed as a file; `THREAT_MODEL.md` says what that means. What proof needs is
here and not used by servers yet: no server is attested.

issuer              certificates for users' names, minted in the server
evidence, gramine   what a platform says about a process; soft/: a platform that simulates one, and says so
quote, binding, extension   the layout of evidence, what it is bound to, how a certificate carries it
verify, collateral, pccs, dcap, claims   from evidence to facts, under a pinned root
measure/                    what is launched, as one number: interpreter, libraries, program, arguments, environment
policy, lint, verdicts, audit   which facts are good enough, and the signed log of what was decided
scone/, gramine_manifest    texts for running servers in real enclaves
"""
