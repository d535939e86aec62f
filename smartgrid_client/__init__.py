"""The example application's clients: a meter that pushes readings and a customer who asks about them.

    readings, generator → batches            what a meter has to say, as batches with stable ids
    requests → connection → api              one request; one TLS connection; a typed library for programs
    verifier, verified, wire                 whether a server may have anything; that it has nothing before
    freshness                                what is kept between sessions, so that older data are noticed
    retry, schedule → session                what may be repeated and when; LOGIN again where it is needed
    meter, customer → report, chart → main   the two behaviours, and what a person at a terminal sees

Never imported: the server. Both sides keep to the described API, and this package holds only the client's half of it.
"""
