std = "lua53"
max_line_length = 130
read_globals = { "core" }
files["../tests/lua"] = { std = "+busted", globals = { "core" } }
