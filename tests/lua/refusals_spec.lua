local stub = require("stub_core")

describe("a refusal", function()
    local core, refusals

    setup(function()
        core = stub.install({})
        package.loaded.refusals = nil
        refusals = require("refusals")
    end)

    it("is one fatal alert record", function()
        assert.equal("\21\3\3\0\2\2\112", refusals.alert("bad_name"))
    end)

    for code, alert in pairs({
        not_tls = 50, no_sni = 109, bad_name = 112, unknown_user = 112, no_capacity = 80, no_route = 80,
        routing_manager_away = 111, not_settled = 111, server_gone = 80,
    }) do
        it("with code " .. code .. " is alert " .. alert, function()
            assert.equal(alert, refusals.alert(code):byte(7))
        end)
    end

    it("without a code is still one", function()
        assert.equal(80, refusals.alert(nil):byte(7))
    end)

    for code, level in pairs({
        bad_name = "INFO", not_tls = "INFO", no_capacity = "WARNING", server_gone = "WARNING",
        routing_manager_away = "ERROR",
    }) do
        it("with code " .. code .. " is logged as " .. level, function()
            assert.equal(level, refusals.level(code))
        end)
    end

    it("is sent to the client by the code in its variable", function()
        local applet = stub.transaction({ ["txn.refusal"] = "no_sni" })
        core.services.refuse(applet)
        assert.same({ "\21\3\3\0\2\2\109" }, applet.sent)
        assert.equal("INFO", applet.variables["txn.level"])
    end)
end)
