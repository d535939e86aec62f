-- HAProxy's `core` as far as the hook uses it: a clock that a test moves, registrations, and sockets that follow a script.
--
-- Each fresh socket takes the next list from `script.sockets`: lines and bodies to receive, in order; `false` breaks the
-- connection there, "refused" instead of a list refuses it. `gone` makes a socket raise as HAProxy's do once closed.

local stub = {}

local Socket = {}
Socket.__index = Socket

function Socket:settimeout(timeout)
    if self.gone then
        error("socket: not yet initialised, you can't set timeouts.")
    end
    self.timeout = timeout
end

function Socket:connect(address)
    self.peer = address
    return self.script ~= "refused" and 1 or nil
end

function Socket:send(text)
    if self.broken then
        return -1
    end
    self.sent[#self.sent + 1] = text
    return #text
end

function Socket:receive()
    local piece = table.remove(self.script, 1)
    if type(piece) == "function" then
        piece = piece()
    end
    return piece or nil
end

function Socket:close()
    self.closed = true
end

function stub.install(sockets)
    local core = { time = 1000.0, actions = {}, services = {}, sockets = {} }
    function core.now()
        return { sec = core.time // 1, usec = math.tointeger((core.time % 1) * 1e6 // 1) }
    end
    function core.msleep(milliseconds)
        core.time = core.time + milliseconds / 1000
    end
    function core.tcp()
        local script = table.remove(sockets, 1) or "refused"
        local socket = setmetatable({ script = script, sent = {} }, Socket)
        core.sockets[#core.sockets + 1] = socket
        return socket
    end
    function core.register_action(name, _, action)
        core.actions[name] = action
    end
    function core.register_service(name, _, service)
        core.services[name] = service
    end
    _G.core = core
    return core
end

-- A transaction or an applet with these variables.
function stub.transaction(variables)
    local txn = { variables = variables, sent = {}, f = { src = function() return "192.0.2.7" end } }
    function txn:get_var(name) return self.variables[name] end
    function txn:set_var(name, value) self.variables[name] = value end
    function txn:unset_var(name) self.variables[name] = nil end
    function txn:send(text) self.sent[#self.sent + 1] = text end
    return txn
end

return stub
