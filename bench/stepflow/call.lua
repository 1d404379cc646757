-- One call, the BODY, again and again; answers without what EXPECTED says are counted, and the last of them is told.
wrk.method = "POST"
wrk.body = os.getenv("BODY")
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Accept"] = "application/json, text/event-stream"

local expected = os.getenv("EXPECTED")
wrong, said = 0, "" -- globals, which `done` can read

function setup(thread)
  watched = thread
end

function response(status, headers, body)
  if status ~= 200 or not body:find(expected, 1, true) then
    wrong = wrong + 1
    said = body
  end
end

function done(summary, latency)
  io.write(string.format("took %d answers %d wrong %d p50 %d p99 %d %s\n", summary.duration, summary.requests,
    watched:get("wrong"), latency:percentile(50), latency:percentile(99), watched:get("said")))
end
