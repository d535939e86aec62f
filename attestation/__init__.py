"""What a server must have before a client trusts it: today the issuing of its certificate.

The certificate is made inside the server process, for a key that never leaves it. Proof of what the process is
(evidence, policy, verification) is not part of this version; until then an issuing key is handed to every server of a
pool as a file, and `THREAT_MODEL.md` says what that means.
"""
