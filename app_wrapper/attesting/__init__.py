"""How a wrapper's servers are attested: what each says over its channel, and what it is answered.

Who starts a server knows what was started: the measurement of the launch is taken here, never told by the server. With
the kind `soft-dcap` the wrapper also has the simulated platform that signs it, so this proves nothing to anybody who
does not trust the host; the path of the evidence is the same as from an enclave.

registrar   the answers: nonces, quotes, certificates, freshness
attendant   one server's end of the channel, for as long as the server lives
setup       all of it from the wrapper's settings
"""
