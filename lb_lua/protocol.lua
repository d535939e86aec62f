-- What is asked of the Routing Manager and what of its answers is accepted: pure functions of texts.
--
-- An answer is a route, or a refusal with a code, or broken (nil); broken is whatever is not exactly as `standby.messages`
-- describes it in the fields used here. Further fields are ignored, so that parts of two versions can talk.

local address = require("address")
local json = require("json")

local protocol = {}

local MAX_BODY = 16384
-- READY is a process that is not kept for this user: whoever logs in first has it.
local STATES = { ACTIVE = true, RESERVED = true, READY = true }

-- One DNS label in lower case. HAProxy's configuration has checked it; it goes into a request line, so it is checked here.
function protocol.is_label(text)
    return type(text) == "string" and #text <= 63 and text:find("^[a-z0-9-]+$") ~= nil
        and not text:find("^-") and not text:find("-$")
end

local function is_port(value)
    return math.type(value) == "integer" and value >= 1 and value <= 65535
end

local function is_boot_id(value)
    return type(value) == "string" and #value == 16 and value:find("^[0-9a-f]+$") ~= nil
end

function protocol.request(uid, source)
    return "GET /v1/route/" .. uid .. "?source=" .. source .. " HTTP/1.1\r\n"
        .. "Host: routing-manager\r\n"
        .. "Accept: application/json\r\n\r\n"
end

-- The status code of a response's first line.
function protocol.status(line)
    return tonumber(line:match("^HTTP/1%.1 ([2345]%d%d)%f[ \r\0]"))
end

-- Name in lower case and value of a header line; nil if it is none.
function protocol.header(line)
    local name, value = line:match("^([%w-]+):[ \t]*(.-)[ \t\r]*$")
    return name and name:lower(), value
end

-- Length of the body in bytes, and whether the connection stays open. Chunked bodies are not read: the Routing Manager's
-- answers are short and have a length.
function protocol.framing(headers)
    local length = (headers["content-length"] or ""):match("^%d%d?%d?%d?%d?$")
    if not length or tonumber(length) > MAX_BODY or headers["transfer-encoding"] then
        return nil
    end
    return tonumber(length), (headers.connection or ""):lower() ~= "close"
end

local function route_of(reply)
    if address.words(reply.address) and is_port(reply.port) and STATES[reply.state]
        and is_boot_id(reply.boot_id) then
        return { address = reply.address, port = reply.port, state = reply.state, boot_id = reply.boot_id }
    end
    return nil
end

-- One that is about to end is as good as away: its successor may answer already.
local function refusal_of(reply)
    local code = type(reply.error) == "table" and reply.error.code
    if code == "stopping" then
        return nil
    elseif type(code) == "string" and #code <= 64 and code:find("^[a-z_]+$") then
        return { refusal = code }
    end
    return nil
end

-- The answer that a status and a body are: {address, port, state, boot_id}, {refusal}, or nil for a broken one.
function protocol.answer(status, body)
    local reply = json.decode(body)
    if type(reply) ~= "table" or reply == json.null then
        return nil
    elseif status == 200 then
        return route_of(reply)
    elseif status >= 400 then
        return refusal_of(reply)
    end
    return nil
end

return protocol
