local json = require("json")

describe("a JSON text", function()
    it("is read with all kinds of values", function()
        local text = ' {"a" : "x", "n":-12, "f":1.5e2, "t":true, "no":false, "o":{"p":{}}} \r\n'
        assert.same({ a = "x", n = -12, f = 150.0, t = true, no = false, o = { p = {} } }, json.decode(text))
    end)

    it("keeps integers as integers", function()
        assert.equal("integer", math.type(json.decode("8443")))
        assert.equal("float", math.type(json.decode("8443.0")))
    end)

    it("reads null as a value of its own", function()
        assert.equal(json.null, json.decode('{"a":null}').a)
    end)

    it("reads escapes", function()
        assert.equal('"\\/\b\f\n\r\té€', json.decode([["\"\\\/\b\f\n\r\t\u00e9\u20AC"]]))
        assert.equal("??", json.decode([["\ud83d\ude00"]]))
    end)

    it("does not take the inside of a string for a field", function()
        assert.same({ message = '"address":"1.2.3.4"' }, json.decode([[{"message":"\"address\":\"1.2.3.4\""}]]))
    end)

    for _, text in ipairs({
        "", " ", "{", "}", "{}{}", "{} x", '{"a"}', '{"a":}', '{"a":1,}', "{,}", '{a:1}', "{'a':1}", '{"a":1 "b":2}', '"',
        '"\\', '"\\x"', '"\\u12"', '"a\nb"', '"\0"', "01", "-", "+1", ".5", "nul", "nulls", "truefalse", "[1]", '{"a":[]}',
        '{"a":{"b":{"c":{}}}}', "1 2", "NaN", "Infinity", "0x10", ("{\"a\":"):rep(10000),
    }) do
        it("is not " .. ("%q"):format(text:sub(1, 40)), function()
            assert.is_nil(json.decode(text))
        end)
    end
end)
