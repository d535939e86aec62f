-- A strict reader of small JSON texts; nil for anything that is not exactly one of RFC 8259.
--
-- HAProxy's Lua has no JSON, and patterns that pick fields out of a text would also find them inside of strings. Arrays are
-- not read, since no message for the load balancer has one; objects may be nested to DEPTH.

local json = {}

local DEPTH = 3
local ESCAPES = {
    ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t",
}
local LITERALS = { ["true"] = true, ["false"] = false, null = json }

-- What `null` is read as, because a Lua table cannot hold nil.
json.null = json

local read_value

local function skip(text, at)
    return text:find("[^ \t\r\n]", at) or #text + 1
end

-- After a backslash: the character, and where to go on. Halves of surrogate pairs become a question mark each.
local function read_escape(text, at)
    local digits = text:match("^u(%x%x%x%x)", at)
    if digits then
        local point = tonumber(digits, 16)
        local half = point >= 0xD800 and point <= 0xDFFF
        return half and "?" or utf8.char(point), at + 5
    end
    return ESCAPES[text:sub(at, at)], at + 1
end

local function read_string(text, at)
    local pieces = {}
    at = at + 1
    while true do
        local plain, stop = text:match('^([^"\\\0-\31]*)()', at)
        pieces[#pieces + 1] = plain
        local mark = text:sub(stop, stop)
        if mark == '"' then
            return table.concat(pieces), stop + 1
        elseif mark ~= "\\" then
            return nil
        end
        local character
        character, at = read_escape(text, stop + 1)
        if not character then
            return nil
        end
        pieces[#pieces + 1] = character
    end
end

local function read_number(text, at)
    local digits = text:match("^-?%d+", at)
    if not digits or digits:find("^-?0%d") then
        return nil
    end
    local stop = at + #digits
    stop = text:match("^%.%d+()", stop) or stop
    stop = text:match("^[eE][+-]?%d+()", stop) or stop
    return tonumber(text:sub(at, stop - 1)), stop
end

local function read_member(text, at, depth)
    local name, value
    if text:sub(at, at) ~= '"' then
        return nil
    end
    name, at = read_string(text, at)
    at = name and skip(text, at)
    if not name or text:sub(at, at) ~= ":" then
        return nil
    end
    value, at = read_value(text, skip(text, at + 1), depth)
    return name, value, at and skip(text, at)
end

local function read_object(text, at, depth)
    local object = {}
    at = skip(text, at + 1)
    if text:sub(at, at) == "}" then
        return object, at + 1
    end
    while true do
        local name, value
        name, value, at = read_member(text, at, depth)
        if value == nil then
            return nil
        end
        object[name] = value
        local mark = text:sub(at, at)
        if mark == "}" then
            return object, at + 1
        elseif mark ~= "," then
            return nil
        end
        at = skip(text, at + 1)
    end
end

-- A value and the place after it; nil if there is none.
function read_value(text, at, depth)
    local first = text:sub(at, at)
    if first == "{" then
        if depth == DEPTH then
            return nil
        end
        return read_object(text, at, depth + 1)
    elseif first == '"' then
        return read_string(text, at)
    end
    local word = text:match("^%l+", at)
    if word then
        return LITERALS[word], at + #word
    end
    return read_number(text, at)
end

-- The value of a whole text.
function json.decode(text)
    local value, stop = read_value(text, skip(text, 1), 0)
    if value == nil or skip(text, stop) <= #text then
        return nil
    end
    return value
end

return json
