-- POST check with a JSON body, over many keys: wrk -s check_post.lua URL [policy] [keys]
local policy, keys, at = "load", 100000, 0
local fields = {["Content-Type"] = "application/json"}

function setup(thread)
    seed = (seed or 0) + 1
    thread:set("seed", seed)
end

function init(args)
    policy = args[1] or policy
    keys = tonumber(args[2]) or keys
    at = seed * 7919
end

function request()
    at = at + 1
    return wrk.format("POST", "/v1/rate-limits/" .. policy .. "/check", fields, '{"key":"user-' .. at % keys .. '","cost":1}')
end
