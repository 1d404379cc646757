-- The call in BODY, where %s stands for one of the task ids in IDS, in turn; answers without a result are counted.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"

local requests = {}
local place = 0
wrong, said = 0, "" -- globals, which `done` can read

function setup(thread)
  watched = thread
end

function init()
  local body, ids = os.getenv("BODY"), os.getenv("IDS")
  for id in ids:gmatch("%S+") do
    requests[#requests + 1] = wrk.format(nil, nil, nil, body:format(id))
  end
end

function request()
  place = place % #requests + 1
  return requests[place]
end

function response(status, headers, body)
  if status ~= 200 or not body:find('"result":', 1, true) then
    wrong = wrong + 1
    said = body
  end
end

function done(summary, latency)
  io.write(string.format("took %d answers %d wrong %d p50 %d p99 %d %s\n", summary.duration, summary.requests,
    watched:get("wrong"), latency:percentile(50), latency:percentile(99), watched:get("said")))
end
