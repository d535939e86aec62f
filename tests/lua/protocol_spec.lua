local protocol = require("protocol")

local GOOD = '{"address":"127.0.0.1","port":8443,"state":"ACTIVE","wrapper_id":"w","slot":0,"boot_id":"0123456789abcdef"}'

describe("a user id", function()
    for _, text in ipairs({ "a", "alice", "a-b", "0", ("x"):rep(63) }) do
        it("is " .. text, function()
            assert.is_true(protocol.is_label(text))
        end)
    end
    for _, text in ipairs({ "", "A", "a_b", "a.b", "-a", "a-", ("x"):rep(64), "a\n", "a\r\nHost: x", "a b", "a/", "é", "a\0" }) do
        it("is not " .. ("%q"):format(text), function()
            assert.is_false(protocol.is_label(text))
        end)
    end
    it("is not absent", function()
        assert.is_false(protocol.is_label(nil))
    end)
end)

describe("a request", function()
    it("names the user and the source", function()
        assert.equal(
            "GET /v1/route/alice?source=192.0.2.7 HTTP/1.1\r\nHost: routing-manager\r\nAccept: application/json\r\n\r\n",
            protocol.request("alice", "192.0.2.7")
        )
    end)
end)

describe("a status line", function()
    it("has a code", function()
        assert.equal(200, protocol.status("HTTP/1.1 200 OK"))
        assert.equal(503, protocol.status("HTTP/1.1 503"))
        assert.equal(404, protocol.status("HTTP/1.1 404\r"))
    end)
    for _, line in ipairs({ "", "HTTP/1.0 200 OK", "HTTP/2 200", "HTTP/1.1 2000 OK", "HTTP/1.1 99", "HTTP/1.1 100 x", "200" }) do
        it("is not " .. ("%q"):format(line), function()
            assert.is_nil(protocol.status(line))
        end)
    end
end)

describe("a header line", function()
    it("is a name without case and a value without blanks around it", function()
        assert.same({ "content-length", "12" }, { protocol.header("Content-LENGTH:  12 \r") })
        assert.same({ "x", "" }, { protocol.header("X:") })
    end)
    it("is nothing else", function()
        assert.is_nil(protocol.header("no colon"))
        assert.is_nil(protocol.header(" folded: line"))
    end)
end)

describe("a response's framing", function()
    it("is its length and whether the connection stays open", function()
        assert.same({ 12, true }, { protocol.framing({ ["content-length"] = "12" }) })
        assert.same({ 0, false }, { protocol.framing({ ["content-length"] = "0", connection = "Close" }) })
    end)
    for _, length in ipairs({ "", "-1", "1x", "16385", "999999", "1e3", "0x10" }) do
        it("cannot be of length " .. ("%q"):format(length), function()
            assert.is_nil(protocol.framing({ ["content-length"] = length }))
        end)
    end
    it("is not chunked", function()
        assert.is_nil(protocol.framing({ ["content-length"] = "1", ["transfer-encoding"] = "chunked" }))
        assert.is_nil(protocol.framing({}))
    end)
end)

describe("an answer", function()
    local function changed(old, new)
        local text, count = GOOD:gsub(old, new, 1)
        assert(count == 1, old)
        return protocol.answer(200, text)
    end

    it("is a route of the fields that are used", function()
        assert.same(
            { address = "127.0.0.1", port = 8443, state = "ACTIVE", boot_id = "0123456789abcdef" },
            protocol.answer(200, GOOD)
        )
        assert.equal("RESERVED", changed("ACTIVE", "RESERVED").state)
        assert.equal("READY", changed("ACTIVE", "READY").state)
        assert.equal("2001:db8::1", changed("127.0.0.1", "2001:db8::1").address)
    end)

    it("is broken if one of them is wrong or missing", function()
        for _, change in ipairs({
            { "127.0.0.1", "example.org" }, { '"127.0.0.1"', "1" }, { "8443", "0" }, { "8443", "65536" }, { "8443", "84.5" },
            { "8443", '"8443"' }, { "8443", "-1" }, { "ACTIVE", "STARTING" }, { "ACTIVE", "STOPPED" }, { '"ACTIVE"', "null" },
            { "0123456789abcdef", "0123456789ABCDEF" }, { "0123456789abcdef", "0" }, { '"port"', '"prot"' }, { "}", "" },
            { '"address"', '"adress"' }, { '"boot_id"', '"boot"' },
        }) do
            assert.is_nil(changed(change[1], change[2]), change[1] .. " -> " .. change[2])
        end
    end)

    it("is a refusal with its code", function()
        local body = '{"error":{"code":"no_capacity","message":"later","id":"abc"}}'
        assert.same({ refusal = "no_capacity" }, protocol.answer(503, body))
        assert.same({ refusal = "no_capacity" }, protocol.answer(400, body))
    end)

    it("is broken if the refusal has no code fit for a log", function()
        for _, body in ipairs({
            "", "null", "1", "{}", '{"error":"x"}', '{"error":null}', '{"error":{}}', '{"error":{"code":7}}',
            '{"error":{"code":""}}', '{"error":{"code":"a b"}}', '{"error":{"code":"x\\ny"}}', GOOD,
            '{"error":{"code":"' .. ("x"):rep(65) .. '"}}',
        }) do
            assert.is_nil(protocol.answer(503, body), body)
        end
    end)

    it("is broken with any other status", function()
        assert.is_nil(protocol.answer(204, GOOD))
        assert.is_nil(protocol.answer(302, GOOD))
    end)
end)
