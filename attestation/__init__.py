"""What a server must have before a client trusts it: a certificate, and proof of what the process is.

A server proves to its wrapper what it is and gets a certificate for a key of its own (`issuing`); a client has it
proved again before it sends anything else. `docs/explanation/attestation.md` tells the whole; without SGX the root of
trust is simulated, and says so.

issuing/                    from proof to certificate: the exchange between a server and its wrapper
appraisal, trust            the one place where evidence, binding and policy are judged together
issuer                      certificates for users' names, minted in the server
evidence, gramine           what a platform says about a process; soft/: a platform that simulates one, and says so
quote, binding, extension   the layout of evidence, what it is bound to, how a certificate carries it
verify, collateral, pccs, dcap, claims   from evidence to facts, under a pinned root
measure/                    what is launched, as one number: interpreter, libraries, program, arguments, environment
policy, lint, verdicts, audit   which facts are good enough, and the signed log of what was decided
sealing                     private keys at rest
scone/, gramine_manifest    texts for running servers in real enclaves
"""
