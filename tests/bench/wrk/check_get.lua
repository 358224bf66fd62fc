-- GET check over many keys: wrk -s check_get.lua URL [policy] [keys]
-- Every thread walks through the keys from a place of its own.
local policy, keys, at = "load", 100000, 0

function setup(thread)
    seed = (seed or 0) + 1
    thread:set("seed", seed)
end

function init(args)
    policy = args[1] or policy
    keys = tonumber(args[2]) or keys
    at = seed * 7919 -- a prime: threads do not ask for the same key at the same time
end

function request()
    at = at + 1
    return wrk.format("GET", "/v1/rate-limits/" .. policy .. "/keys/user-" .. at % keys .. "/check")
end
