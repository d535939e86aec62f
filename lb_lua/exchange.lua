-- One request to the Routing Manager over a kept HTTP/1.1 connection, or over a fresh one when that fails.
--
-- Asking twice is safe: a route is only read, or promised to the same user again. So a kept connection that went stale
-- (closed or reset while idle, or during a restart) costs a second request and never the client's connection.
--
-- Only idle connections are counted and bounded. HAProxy may end the coroutine of a client that goes away at any wait, with
-- nothing run afterwards, so a count of connections in use would only ever grow; their number is bounded by that of clients.
--
-- One instance per thread: HAProxy's sockets cannot leave the thread that made them.

local protocol = require("protocol")

local exchange = {}

local MAX_HEADERS = 64
local FRESH_ATTEMPTS = 2

local function seconds()
    local now = core.now()
    return now.sec + now.usec / 1e6
end

-- False if the connection is gone: HAProxy raises an error then.
local function set_timeout(socket, timeout)
    return pcall(socket.settimeout, socket, math.max(0.001, timeout))
end

-- All header fields up to the empty line; nil if the connection ends, the deadline passes or there are too many.
local function read_headers(socket, deadline)
    local headers = {}
    for _ = 1, MAX_HEADERS do
        local line = socket:receive("*l")
        if not line or seconds() > deadline then
            return nil
        elseif line == "" or line == "\r" then
            return headers
        end
        local name, value = protocol.header(line)
        if not name then
            return nil
        end
        headers[name] = value
    end
    return nil
end

-- The answer, and whether the connection can carry another request; nil if it is broken or did not come.
local function read_answer(socket, deadline)
    local status = protocol.status(socket:receive("*l") or "")
    local headers = status and read_headers(socket, deadline)
    if not headers then
        return nil
    end
    local length, keep = protocol.framing(headers)
    local body = length and socket:receive(length)
    if not body or #body ~= length then
        return nil
    end
    return protocol.answer(status, body), keep
end

-- limits: address, as HAProxy writes one (a Unix socket's too); connect, query, keep (seconds), kept (connections).
function exchange.new(limits)
    local self = { limits = limits, idle = {} }
    return setmetatable(self, { __index = exchange })
end

-- The connection that was idle for the shortest time; nil if there is none worth trying.
function exchange:take()
    local kept = table.remove(self.idle)
    if kept and seconds() - kept.since <= self.limits.keep then
        return kept.socket
    elseif kept then
        self:forget(kept)
    end
    return nil
end

-- The others are at least as old as one that failed: if that was stale, so are they.
function exchange:forget(kept)
    for _, each in ipairs(self.idle) do
        each.socket:close()
    end
    self.idle = {}
    if kept then
        kept.socket:close()
    end
end

function exchange:park(socket)
    if #self.idle < self.limits.kept and set_timeout(socket, self.limits.keep + 1) then
        self.idle[#self.idle + 1] = { socket = socket, since = seconds() }
    else
        socket:close()
    end
end

-- Nil if the Routing Manager cannot be reached.
function exchange:connect(deadline)
    local socket = core.tcp()
    set_timeout(socket, math.min(self.limits.connect, deadline - seconds()))
    if socket:connect(self.limits.address) then
        return socket
    end
    socket:close()
    return nil
end

-- The answer over this connection, which is then kept or closed; nil if there is none.
function exchange:over(socket, request, deadline)
    local answer, keep
    if set_timeout(socket, deadline - seconds()) and (socket:send(request) or -1) == #request then
        answer, keep = read_answer(socket, deadline)
    end
    if answer and keep then
        self:park(socket)
    else
        socket:close()
    end
    return answer
end

-- The Routing Manager's answer (see protocol.answer), or nil if it is away: no connection, no answer before the deadline, or a
-- broken one twice.
function exchange:ask(uid, source)
    local limits = self.limits
    local deadline = seconds() + limits.query
    local request = protocol.request(uid, source)
    local kept = self:take()
    local answer = kept and self:over(kept, request, deadline)
    if kept and not answer then
        self:forget()
    end
    for _ = 1, FRESH_ATTEMPTS do
        local socket = not answer and seconds() < deadline and self:connect(deadline)
        if not socket then
            break
        end
        answer = self:over(socket, request, deadline)
    end
    return answer or nil
end

return exchange
