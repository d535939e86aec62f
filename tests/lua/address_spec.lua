local address = require("address")

describe("an address", function()
    for text, words in pairs({
        ["127.0.0.1"] = { 0, 0, 0xFFFF, 0x7F000001 },
        ["255.255.255.255"] = { 0, 0, 0xFFFF, 0xFFFFFFFF },
        ["::"] = { 0, 0, 0, 0 },
        ["::1"] = { 0, 0, 0, 1 },
        ["fe80::"] = { 0xFE800000, 0, 0, 0 },
        ["2001:db8::a:b"] = { 0x20010DB8, 0, 0, 0x000A000B },
        ["1:2:3:4:5:6:7:8"] = { 0x10002, 0x30004, 0x50006, 0x70008 },
        ["1:2:3:4:5:6:7::"] = { 0x10002, 0x30004, 0x50006, 0x70000 },
    }) do
        it("is read: " .. text, function()
            assert.same(words, address.words(text))
        end)
        it("survives being remembered: " .. text, function()
            assert.same(words, address.words(address.text(words)))
        end)
    end

    it("is written as it came when it is IPv4", function()
        assert.equal("192.168.10.255", address.text(address.words("192.168.10.255")))
    end)

    for _, text in ipairs({
        "", "localhost", "127.0.0.1:80", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.-4", "1.2.3.4 ", "::1\n",
        ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "::ffff:1.2.3.4", "fe80::1%eth0",
        "1:2:3:4::5:6:7:8", "[::1]", ("1:"):rep(30),
    }) do
        it("is not " .. ("%q"):format(text), function()
            assert.is_nil(address.words(text))
        end)
    end

    it("is not something else than text", function()
        assert.is_nil(address.words(7))
        assert.is_nil(address.words(nil))
    end)
end)
