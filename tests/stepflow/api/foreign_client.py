"""Asks a runtime through the published client of Stepflow, and prints what it got: run with that client's python."""

import asyncio
import json
import sys
import urllib.request

from stepflow_py import StepflowClient
from stepflow_py.api.exceptions import ApiException

FLOW = {
    "name": "greeting",
    "steps": [{"id": "ask", "component": "/builtin/create_messages", "input": {"user_prompt": {"$input": "who"}}}],
    "output": {"$step": "ask"},
    "examples": [{"name": "plain", "input": {"who": "Ann"}}],
}


def raw(url, body=None):
    """The models of flows in 0.9.2 refuse the flows of 0.9: these answers are read without them."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


async def status_of(asking):
    """The status of an error answer, 0 where there is none."""
    try:
        await asking
    except ApiException as error:
        return error.status
    return 0


def plain(model):
    return json.loads(model.model_dump_json(by_alias=True, exclude_unset=True))


async def main(url: str, is_newer: bool) -> dict:
    client = StepflowClient.connect(url)
    told = {"healthy": await client.is_healthy(timeout=20)}
    if is_newer:
        told["stored"] = plain(await client.store_flow(FLOW))
    else:
        told["stored"] = raw(f"{url}/api/v1/flows", {"flow": FLOW})
    flow_id = told["stored"]["flowId"]
    told["one"] = plain(await client.run(flow_id, {"who": "Ann"}))
    two = await client.run(flow_id, [{"who": "Ann"}, {"who": 1}], max_concurrency=1)
    told["two"] = plain(two)
    told["items"] = await client.get_run_items(two.run_id)
    runs, flows = client._run_api, client._flow_api
    told["steps"] = plain(await runs.get_run_steps(two.run_id))
    told["listed"] = plain(await runs.list_runs(limit=5))
    if is_newer:
        told["run_flow"] = plain(await runs.get_run_flow(two.run_id))
        told["flow"] = plain(await flows.get_flow(flow_id))
        submitted = await client.submit(flow_id, {"who": "Bob"})
        details = await client.get_run(submitted.run_id, wait=True, wait_timeout=20)
        told["submitted"], told["details"] = plain(submitted), plain(details)
        told["variables"] = plain(await flows.get_flow_variables(flow_id))
    else:
        told["run_flow"] = raw(f"{url}/api/v1/runs/{two.run_id}/flow")
        told["flow"] = raw(f"{url}/api/v1/flows/{flow_id}")
        told["details"] = plain(await runs.get_run(two.run_id))
    told["unknown"] = await status_of(client.run("0" * 64, {}))
    told["cancelled"] = await status_of(runs.cancel_run(two.run_id))
    await runs.delete_run(two.run_id)
    told["deleted"] = await status_of(runs.get_run(two.run_id))
    await client.close()
    return told


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2] == "0.11")), default=str))
