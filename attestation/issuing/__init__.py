"""From proof to certificate: the part that CAS has at SCONE, embedded in the wrapper.

    server                                   wrapper
      Begin ─────────────────────────────►  a nonce for this process, good once and for a minute
      ◄───────────────────────── Challenge
      Proof (key, evidence, claims) ─────►  verified, decided by the policy, written to the audit log; then
      ◄────────────────────────── Issued    a certificate for the server's key, at most 30 minutes long
                              or Refused    why, in words and with a code

The certificate is an authority of its own that may sign nothing but server certificates, for the key that the evidence
is about; with it the process makes its certificates for whichever user is sent to it, without asking again. The key
never leaves the process, and no server holds a key that another one has.

messages    what goes over the channel between the two
channel     the server's end of it
asking      the server's side: its key, its proofs and its certificate
nonces      one for each process, good once
issuer      the wrapper's side: nonces, verdicts, certificates
freshness   what a user's database was when it was closed, kept where the volume's storage cannot roll it back
"""
