-- Batches of 100 checks, over many keys: wrk -s batch.lua URL [policy] [keys] [independent|all_or_nothing]
-- The bodies are made before the run, so that wrk does not measure itself.
local bodies, at = {}, 0
local fields = {["Content-Type"] = "application/json"}

function init(args)
    local policy, keys, mode = args[1] or "load", tonumber(args[2]) or 100000, args[3] or "independent"
    for i = 1, 200 do
        local checks = {}
        for j = 1, 100 do
            checks[j] = '{"policy":"' .. policy .. '","key":"user-' .. (i * 100 + j) * 7919 % keys .. '"}'
        end
        bodies[i] = '{"mode":"' .. mode .. '","checks":[' .. table.concat(checks, ",") .. "]}"
    end
end

function request()
    at = at % #bodies + 1
    return wrk.format("POST", "/v1/rate-limits/check", fields, bodies[at])
end
