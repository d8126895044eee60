-- wrk -s wrk.lua URL -- BODY_FILE [FIRST_NUMBER]
-- Posts the body; with FIRST_NUMBER each request carries the next number in place of the mark, so that every one is
-- new to a cache. The last line of output is JSON: requests, seconds, errors, latencies in microseconds.
local mark = "000000000000"

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local body = file:read("*a")
  file:close()
  wrk.method = "POST"
  wrk.body = body
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["Authorization"] = "Bearer bench"
  if args[2] then
    local at = assert(body:find(mark, 1, true), "the body has no mark")
    local whole = wrk.format()
    local start = #whole - #body + at
    local before, behind = whole:sub(1, start - 1), whole:sub(start + #mark)
    local number = tonumber(args[2])
    request = function()
      number = number + 1
      return before .. string.format("%012d", number) .. behind
    end
  else
    local whole = wrk.format()
    request = function() return whole end
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"status_errors":%d,"socket_errors":%d,"p50_us":%.1f,"p99_us":%.1f,"min_us":%.1f}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.min))
end
