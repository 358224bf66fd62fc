-- GET /v1/payments/{id}?wait_ms=1 for the ids in a file, each once: their machines live afterwards. wrk -t1 -s wake_payment.lua URL FILE
local ids, at = {}, 0

function init(args)
    for id in io.lines(args[1]) do
        ids[#ids + 1] = id
    end
end

function request()
    at = at % #ids + 1
    return wrk.format("GET", "/v1/payments/" .. ids[at] .. "?wait_ms=1")
end
