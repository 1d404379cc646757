-- One call of echo; with FRESH=1 every head differs, so that no server gains from having seen it.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"jsonrpc":"2.0","id":"5f0c7e52-6a3c-4d1e-9a39-3a6e7d9b0c11","method":"echo","params":{"value":{"component":"/python/udf","number":12345}}}'

if os.getenv("FRESH") == "1" then
  local count = 0
  request = function()
    count = count + 1
    wrk.headers["X-Request-Id"] = tostring(count)
    return wrk.format()
  end
end
