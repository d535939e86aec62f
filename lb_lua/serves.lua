-- Tells whoever started HAProxy that it serves now: a line to the descriptor that the environment names, if it does.
-- A task runs once HAProxy has its listeners and has left its start behind; a check of the configuration runs none.

local descriptor = os.getenv("STANDBY_READY_FD")

local function tell()
    local file = assert(io.open("/proc/self/fd/" .. descriptor, "w"))
    file:write("\n")
    file:close()
end

if descriptor then
    core.register_task(tell)
end
