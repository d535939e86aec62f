-- The hook: asks the Routing Manager where a user's connection goes and leaves the answer in variables.
--
--     txn.address, txn.port, txn.state, txn.boot_id    a route
--     txn.word1 … txn.word4                            its address again, as it is remembered
--     txn.refusal                                      or why there is none
--     txn.routing_ms                                   how long it took
--     txn.away_s                                       seconds since the first of the questions that got no answer
--     txn.level                                        WARNING if this one got none
--
-- It decides nothing: HAProxy's configuration connects, remembers, recalls or refuses by these variables, and refuses when
-- neither is set (an error here). Loaded once per thread, in a state of its own; a file loaded for all threads beside it
-- would be the obvious place for what they share, but HAProxy 2.6 runs one connection's actions in one state only.

local address = require("address")
local exchange = require("exchange")
local protocol = require("protocol")

local AWAY = { refusal = "routing_manager_away" }
local WORDS = { "txn.word1", "txn.word2", "txn.word3", "txn.word4" }

-- When this thread first asked without an answer, in milliseconds; nil while there are answers.
local away_since

local function milliseconds()
    local now = core.now()
    return now.sec * 1000 + now.usec // 1000
end

local function number(name)
    return assert(tonumber(os.getenv(name)), name .. " is not set")
end

local manager = exchange.new({
    address = assert(os.getenv("LB_ROUTING_MANAGER")),
    connect = number("LB_ROUTE_CONNECT"),
    query = number("LB_ROUTE_QUERY"),
    keep = number("LB_ROUTE_KEEP"),
    kept = number("LB_KEPT_CONNECTIONS"),
})

local function route(txn)
    local uid, source = txn:get_var("txn.uid"), txn.f:src()
    if not protocol.is_label(uid) then
        txn:set_var("txn.refusal", "bad_name")
        return
    end
    local pause = txn:get_var("txn.pause") or 0
    if pause > 0 then
        core.msleep(pause)
    end
    local began = milliseconds()
    local answer = manager:ask(uid, source)
    txn:set_var("txn.routing_ms", milliseconds() - began)
    if answer then
        away_since = nil
    else
        answer, away_since = AWAY, away_since or began
        txn:set_var("txn.level", "WARNING")
        txn:set_var("txn.away_s", (milliseconds() - away_since) // 1000)
    end
    for name, value in pairs(answer) do
        txn:set_var("txn." .. name, value)
    end
    for index, word in ipairs(answer.address and address.words(answer.address) or {}) do
        txn:set_var(WORDS[index], word)
    end
end

-- The configuration has put a remembered route's port and words into the variables.
local function recall(txn)
    local words = {}
    for index, name in ipairs(WORDS) do
        words[index] = txn:get_var(name)
    end
    txn:set_var("txn.address", address.text(words))
    txn:set_var("txn.state", "RECALLED")
    txn:unset_var("txn.refusal")
end

core.register_action("route", { "tcp-req" }, route)
core.register_action("recall", { "tcp-req" }, recall)
