local stub = require("stub_core")

local BODY = '{"address":"10.0.0.9","port":8443,"state":"ACTIVE","boot_id":"0123456789abcdef"}'
local ENVIRONMENT = {
    LB_ROUTING_MANAGER = "127.0.0.1:80", LB_ROUTE_CONNECT = "1.0",
    LB_ROUTE_QUERY = "17.0", LB_ROUTE_KEEP = "30.0", LB_KEPT_CONNECTIONS = "8",
}

describe("the hook", function()
    local getenv = os.getenv
    local core

    local function load_route(sockets)
        core = stub.install(sockets)
        package.loaded.exchange = nil
        package.loaded.route = nil
        require("route")
    end

    before_each(function()
        os.getenv = function(name) return ENVIRONMENT[name] end -- luacheck: ignore
    end)
    after_each(function()
        os.getenv = getenv -- luacheck: ignore
    end)

    it("leaves a route in variables", function()
        load_route({ { "HTTP/1.1 200 OK", "Content-Length: " .. #BODY, "", BODY } })
        local txn = stub.transaction({ ["txn.uid"] = "alice" })
        core.actions.route(txn)
        assert.same({
            ["txn.uid"] = "alice", ["txn.address"] = "10.0.0.9", ["txn.port"] = 8443, ["txn.state"] = "ACTIVE",
            ["txn.boot_id"] = "0123456789abcdef", ["txn.routing_ms"] = 0,
            ["txn.word1"] = 0, ["txn.word2"] = 0, ["txn.word3"] = 0xFFFF, ["txn.word4"] = 0x0A000009,
        }, txn.variables)
    end)

    it("waits a moment before it asks once more", function()
        load_route({ { "HTTP/1.1 200 OK", "Content-Length: " .. #BODY, "", BODY } })
        local began = core.time
        core.actions.route(stub.transaction({ ["txn.uid"] = "alice", ["txn.pause"] = 50 }))
        assert.near(began + 0.05, core.time, 1e-6)
    end)

    it("leaves only a refusal when the Routing Manager is away", function()
        load_route({})
        local txn = stub.transaction({ ["txn.uid"] = "alice" })
        core.actions.route(txn)
        assert.equal("routing_manager_away", txn.variables["txn.refusal"])
        assert.is_nil(txn.variables["txn.address"])
    end)

    it("says for how long nobody has answered, until there is an answer", function()
        load_route({ "refused", "refused", { "HTTP/1.1 200 OK", "Content-Length: " .. #BODY, "", BODY } })
        local function away_s()
            local txn = stub.transaction({ ["txn.uid"] = "alice" })
            core.actions.route(txn)
            return txn.variables["txn.away_s"], txn.variables["txn.level"]
        end
        assert.same({ 0, "WARNING" }, { away_s() })
        core.time = core.time + 42
        assert.same({ 42, "WARNING" }, { away_s() })
        assert.same({}, { away_s() })
        core.time = core.time + 60
        assert.same({ 0, "WARNING" }, { away_s() })
    end)

    it("asks nobody about a name that is no user id", function()
        load_route({})
        local txn = stub.transaction({ ["txn.uid"] = "a b" })
        core.actions.route(txn)
        assert.equal("bad_name", txn.variables["txn.refusal"])
        assert.equal(0, #core.sockets)
    end)

    it("recalls the address from its words and takes the refusal back", function()
        load_route({})
        local txn = stub.transaction({
            ["txn.refusal"] = "routing_manager_away", ["txn.port"] = 8443,
            ["txn.word1"] = 0, ["txn.word2"] = 0, ["txn.word3"] = 0xFFFF, ["txn.word4"] = 0x0A000009,
        })
        core.actions.recall(txn)
        assert.equal("10.0.0.9", txn.variables["txn.address"])
        assert.equal("RECALLED", txn.variables["txn.state"])
        assert.is_nil(txn.variables["txn.refusal"])
    end)

    it("does not load without its settings", function()
        os.getenv = function() return nil end -- luacheck: ignore
        assert.has_error(function() load_route({}) end)
    end)
end)
