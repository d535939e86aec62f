-- How a client is told that it is not connected: a fatal TLS alert, the first bytes it gets, then the end.
--
-- A TLS client reports the alert by name, so a person or a log sees why. Which alert says what (RFC 8446, section 6.2):
--
--     decode_error (50)          what came is not a ClientHello: plain HTTP, or half of one and then silence
--     internal_error (80)        not now: no capacity, Routing Manager away, server process gone; a retry helps
--     missing_extension (109)    no server name
--     unrecognized_name (112)    a server name that is not a user id, or names no known user
--
-- A client that speaks no TLS gets the same seven bytes and the end of the connection. The code that the operator sees is
-- in HAProxy's log line (txn.refusal).

local refusals = {}

local ALERTS = {
    not_tls = 50,
    no_sni = 109,
    bad_name = 112,
    unknown_user = 112,
}
local INTERNAL_ERROR = 80

-- A plain alert record: type 21, version 3.3, length 2, level fatal, description.
function refusals.alert(code)
    return string.char(21, 3, 3, 0, 2, 2, ALERTS[code] or INTERNAL_ERROR)
end

local function refuse(applet)
    applet:send(refusals.alert(applet:get_var("txn.refusal")))
end

core.register_service("refuse", "tcp", refuse)

return refusals
