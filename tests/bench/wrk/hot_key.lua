-- GET check, all of them on one key: wrk -s hot_key.lua URL [policy] [key]
local question

function init(args)
    question = wrk.format("GET", "/v1/rate-limits/" .. (args[1] or "load") .. "/keys/" .. (args[2] or "hot") .. "/check")
end

function request()
    return question
end
