-- What wrk sends: requests.lua -- get|post|batch KEYS. With one key the request is always the same; with more, all are
-- composed before the first is sent, so that no time goes into making them.
local json = {["Content-Type"] = "application/json"}

local function key(i)
    return string.format("key-%05d", i)
end

local make = {
    get = function(i)
        return wrk.format("GET", "/v1/rate-limits/bench/keys/" .. key(i) .. "/check")
    end,
    post = function(i)
        return wrk.format("POST", "/v1/rate-limits/bench/check", json, '{"key":"' .. key(i) .. '","cost":1}')
    end,
    -- The i-th hundred keys.
    batch = function(i)
        local checks = {}
        for n = 1, 100 do
            checks[n] = '{"policy":"bench","key":"' .. key((i - 1) * 100 + n) .. '","cost":1}'
        end
        return wrk.format("POST", "/v1/rate-limits/check", json, '{"checks":[' .. table.concat(checks, ",") .. "]}")
    end,
}

local requests = {}
local next = 0

function init(args)
    local count = args[1] == "batch" and math.max(1, math.floor(tonumber(args[2]) / 100)) or tonumber(args[2])
    for i = 1, count do
        requests[i] = make[args[1]](i)
    end
end

function request()
    next = next % #requests + 1
    return requests[next]
end
