"""Texts for running a pool's servers in SCONE enclaves, all made from one description of the pool.

`pool` reads the description; `session`, `deploy` and `attestation.gramine_manifest` turn it into texts; `grammar`
checks a session against the published language; `cas` uploads one. `python -m attestation.scone` does all of it.

Nothing here was ever run with SCONE, a CAS, a LAS or Gramine: there was no machine with SGX. The texts follow the
documentation of SCONE 7.0 (session language up to 0.3.12) and of Gramine 1.9, and the tests hold them against our own
reading of those pages only.
"""
