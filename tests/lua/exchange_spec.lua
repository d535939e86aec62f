local stub = require("stub_core")

local BODY = '{"address":"127.0.0.1","port":8443,"state":"ACTIVE","boot_id":"0123456789abcdef"}'
local LIMITS = { address = "127.0.0.1:80", connect = 1, query = 17, keep = 30, kept = 2 }
local PORT = 8443

-- One response, with further header lines.
local function answer(...)
    return "HTTP/1.1 200 OK", "Content-Length: " .. #BODY, ...
end

local function good(...)
    local pieces = { answer(...) }
    pieces[#pieces + 1] = ""
    pieces[#pieces + 1] = BODY
    return pieces
end

local function joined(first, second)
    return table.move(second, 1, #second, #first + 1, first)
end

describe("the exchange", function()
    local core, manager

    local function start(sockets, limits)
        core = stub.install(sockets)
        package.loaded.exchange = nil
        manager = require("exchange").new(limits or LIMITS)
    end

    local function ask()
        local reply = manager:ask("alice", "192.0.2.7")
        return reply and reply.port
    end

    it("asks over a connection with deadlines and keeps it", function()
        start({ joined(good(), good()) })
        assert.equal(PORT, ask())
        assert.equal(PORT, ask())
        assert.equal(1, #core.sockets)
        assert.equal(2, #core.sockets[1].sent)
        assert.equal("127.0.0.1:80", core.sockets[1].peer)
        assert.equal(31, core.sockets[1].timeout)
    end)

    it("keeps no connection that the other side will close", function()
        start({ good("Connection: close"), good() })
        ask()
        assert.is_true(core.sockets[1].closed)
        assert.equal(PORT, ask())
        assert.equal(2, #core.sockets)
    end)

    it("keeps no more connections than its limit", function()
        start({}, { address = "h:1", connect = 1, query = 1, keep = 30, kept = 0 })
        local socket = core.tcp()
        manager:park(socket)
        assert.is_true(socket.closed)
        assert.same({}, manager.idle)
    end)

    it("does not try a connection that was idle for too long", function()
        start({ joined(good(), good()), good() })
        ask()
        core.time = core.time + 31
        assert.equal(PORT, ask())
        assert.is_true(core.sockets[1].closed)
        assert.equal(1, #core.sockets[1].sent)
    end)

    it("replaces a stale connection, and the older ones with it, and asks again", function()
        start({ joined(good(), { false }), {}, good() })
        ask()
        local older = core.tcp()
        table.insert(manager.idle, 1, { socket = older, since = core.time })
        assert.equal(PORT, ask())
        assert.is_true(core.sockets[1].closed)
        assert.is_true(older.closed)
        assert.same({}, older.sent)
    end)

    for _, death in ipairs({ "gone", "broken" }) do
        it("survives a kept connection that is " .. death, function()
            start({ good(), good() })
            ask()
            core.sockets[1][death] = true
            assert.equal(PORT, ask())
            assert.equal(2, #core.sockets)
        end)
    end

    it("gives up at once when the connection is refused", function()
        start({ "refused", good() })
        assert.is_nil(ask())
        assert.equal(1, #core.sockets)
        assert.equal(1, core.sockets[1].timeout)
    end)

    it("asks twice when the answer is broken, and not more often", function()
        start({ { "garbage" }, good() })
        assert.equal(PORT, ask())
        start({ { "garbage" }, { false }, good() })
        assert.is_nil(ask())
        assert.equal(2, #core.sockets)
        assert.is_true(core.sockets[1].closed and core.sockets[2].closed)
    end)

    it("does not ask again when the time is used up", function()
        start({ { function() core.time = core.time + 17; return nil end }, good() })
        assert.is_nil(ask())
        assert.equal(1, #core.sockets)
    end)

    it("gives the second request only the time that is left", function()
        start({ { function() core.time = core.time + 10; return nil end }, good() })
        local timeout
        manager.park = function(_, socket) timeout = socket.timeout end
        assert.equal(PORT, ask())
        assert.is_true(timeout <= 7)
    end)

    it("takes no answer whose headers drip past the deadline or never end", function()
        local slow = { "HTTP/1.1 200 OK", function() core.time = core.time + 18; return "X: y" end, "", BODY }
        start({ slow })
        assert.is_nil(ask())
        local endless = { "HTTP/1.1 200 OK" }
        for _ = 1, 100 do
            endless[#endless + 1] = "X: y"
        end
        start({ endless, { false } })
        assert.is_nil(ask())
    end)

    it("takes no body that is shorter than announced", function()
        start({ { "HTTP/1.1 200 OK", "Content-Length: 99", "", BODY }, { false } })
        assert.is_nil(ask())
    end)

    it("hands a refusal on", function()
        local body = '{"error":{"code":"no_capacity"}}'
        start({ { "HTTP/1.1 503 x", "Content-Length: " .. #body, "", body } })
        assert.same({ refusal = "no_capacity" }, manager:ask("alice", "192.0.2.7"))
    end)
end)
