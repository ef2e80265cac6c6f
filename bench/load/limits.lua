-- For wrk: reads, writes, calculations, and the largest bodies that the services accept.

local json = {["Content-Type"] = "application/json"}
local requests = {}
local next_request = 0
statuses = {}

local function add(count, ...)
    local request = wrk.format(...)
    for _ = 1, count do
        requests[#requests + 1] = request
    end
end

-- Joins `count` elements, which a format string makes from their numbers.
local function join(count, format)
    local elements = {}
    for number = 1, count do
        elements[number] = format:format(number)
    end
    return table.concat(elements, ",")
end

function init()
    local names = '"%05d' .. ("x"):rep(40) .. '"'
    local order = '{"costs":{' .. join(9900, names .. ":1") .. '},"items":[' .. join(9900, names) .. '],"tax":0}'
    local words = '{"words":[' .. join(10000, '"' .. ("y"):rep(95) .. '"') .. "]}"
    add(8, "GET", "/api/v1/look/load-limits")
    add(2, "GET", "/api/v2/entries?limit=100")
    add(2, "PUT", "/api/v2/entries/load-limits", json, '{"definition":"Overwritten by every request"}')
    add(2, "POST", "/api/v1/nth-char", json, '{"words":["yoda","best","has"]}')
    add(2, "POST", "/api/v1/nth-char", json, words)
    add(2, "POST", "/api/v1/spending", json, order)
    add(2, "POST", "/api/v1/receipts", json, order)
    -- Each thread in a different order, which is the same in each run.
    math.randomseed(#requests)
    for last = #requests, 2, -1 do
        local other = math.random(last)
        requests[last], requests[other] = requests[other], requests[last]
    end
end

function request()
    next_request = next_request % #requests + 1
    return requests[next_request]
end

function response(status)
    statuses[status] = (statuses[status] or 0) + 1
end

local threads = {}

function setup(thread)
    threads[#threads + 1] = thread
end

function done(summary, latency)
    local total = {}
    for _, thread in ipairs(threads) do
        for status, count in pairs(thread:get("statuses")) do
            total[status] = (total[status] or 0) + count
        end
    end
    for status, count in pairs(total) do
        print(("status %d: %d responses"):format(status, count))
    end
    print(("timeouts: %d, other errors: %d"):format(summary.errors.timeout,
        summary.errors.connect + summary.errors.read + summary.errors.write))
    print(("p50 %d ms, p99 %d ms"):format(latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
