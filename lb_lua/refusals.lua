-- How a client is told that it is not connected: a fatal TLS alert, the first bytes it gets, then the end.
--
-- A TLS client reports the alert by name, so a person or a log sees why. Which alert says what (RFC 8446, section 6.2):
--
--     decode_error (50)          what came is not a ClientHello: plain HTTP, or half of one and then silence
--     internal_error (80)               not now: no capacity, or the server process has just ended; a retry helps
--     missing_extension (109)           no server name
--     certificate_unobtainable (111)    the Routing Manager is away, or has just started: no server, and so no certificate,
--                                       can be found for this name until it is back
--     unrecognized_name (112)           a server name that is not a user id, or names no known user
--
-- TLS has no alert that means "away". 111 is one that no server of TLS 1.3 sends for anything else (reserved since RFC 8446).
-- A client that speaks no TLS gets the same seven bytes and the end of the connection. The code that the operator sees is
-- in HAProxy's log line (txn.refusal), at a level (txn.level) by whose fault it is.

local refusals = {}

local ALERTS = {
    not_tls = 50,
    no_sni = 109,
    bad_name = 112,
    unknown_user = 112,
    routing_manager_away = 111,
    not_settled = 111,
}
local INTERNAL_ERROR = 80
-- Whatever is not here is a WARNING: the platform has no server for a user.
local LEVELS = {
    not_tls = "INFO",
    no_sni = "INFO",
    bad_name = "INFO",
    unknown_user = "INFO",
    routing_manager_away = "ERROR",
}

-- A plain alert record: type 21, version 3.3, length 2, level fatal, description.
function refusals.alert(code)
    return string.char(21, 3, 3, 0, 2, 2, ALERTS[code] or INTERNAL_ERROR)
end

function refusals.level(code)
    return LEVELS[code] or "WARNING"
end

local function refuse(applet)
    local code = applet:get_var("txn.refusal")
    applet:set_var("txn.level", refusals.level(code))
    applet:send(refusals.alert(code))
end

core.register_service("refuse", "tcp", refuse)

return refusals
