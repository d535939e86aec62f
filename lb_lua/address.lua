-- IP addresses as texts and as four 32-bit words: HAProxy's tables, in which routes are remembered, hold numbers only.
--
-- IPv4 is kept in its IPv4-mapped form (::ffff:a.b.c.d, RFC 4291, section 2.5.5.2). Reading is strict: what is no address is
-- nil, so this is also the check of addresses that come from outside.

local address = {}

local MAPPED = 0xFFFF
local GROUPS = 8

local function read_ipv4(text)
    local word, count = 0, 0
    for digits in (text .. "."):gmatch("(%d+)%.") do
        local byte = tonumber(digits)
        if byte > 255 or (#digits > 1 and digits:sub(1, 1) == "0") then
            return nil
        end
        word, count = word * 256 + byte, count + 1
    end
    return count == 4 and { 0, 0, MAPPED, word } or nil
end

-- The groups of one side of `::`; nil if one of them is no group.
local function read_groups(text)
    local groups = {}
    if text == "" then
        return groups
    end
    for digits in (text .. ":"):gmatch("([^:]*):") do
        if not digits:find("^%x%x?%x?%x?$") then
            return nil
        end
        groups[#groups + 1] = tonumber(digits, 16)
    end
    return groups
end

local function fill(groups, tail)
    for _ = 1, GROUPS - #groups - #tail do
        groups[#groups + 1] = 0
    end
    return table.move(tail, 1, #tail, #groups + 1, groups)
end

local function read_ipv6(text)
    local head, tail = text:match("^(.-)::(.*)$")
    local groups, rest = read_groups(head or text), read_groups(tail or "")
    if not groups or not rest then
        return nil
    elseif head and #groups + #rest < GROUPS then
        groups = fill(groups, rest)
    end
    if #groups ~= GROUPS then
        return nil
    end
    local words = {}
    for index = 1, GROUPS, 2 do
        words[#words + 1] = groups[index] << 16 | groups[index + 1]
    end
    return words
end

-- Four words; nil if the text is no address. IPv6 with an IPv4 tail or a zone is not read.
function address.words(text)
    if type(text) ~= "string" or #text > 45 then
        return nil
    elseif text:find("^%d+%.%d+%.%d+%.%d+$") then
        return read_ipv4(text)
    elseif text:find(":", 1, true) then
        return read_ipv6(text)
    end
    return nil
end

function address.text(words)
    if words[1] == 0 and words[2] == 0 and words[3] == MAPPED then
        return ("%d.%d.%d.%d"):format(string.unpack("BBBB", string.pack(">I4", words[4])))
    end
    local groups = {}
    for _, word in ipairs(words) do
        groups[#groups + 1] = ("%x:%x"):format(word >> 16, word & 0xFFFF)
    end
    return table.concat(groups, ":")
end

return address
