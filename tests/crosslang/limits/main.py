"""Calls `say` under each setting of server and client: `main.py FOLDER`, with what came of it as JSON."""

import json
import sys
from functools import partial

import anyio

sys.path.insert(0, sys.argv[1])

from limits_protocol import RpcError, ServerClient, ValidationError, Word, memory_pair, server_dispatcher


class Server:
    async def say(self, params, context):
        return params


async def outcome(call):
    try:
        await call()
    except RpcError as error:
        return str(error.code)
    except ValidationError:
        return "refused here"
    return "taken"


async def main():
    found = {}
    for serving in (True, False):
        for calling in (True, False):
            async with memory_pair(None, server_dispatcher(Server(), constraints=serving)) as (channel, _):
                client = ServerClient(channel, constraints=calling)
                long = Word(text="too long", tags=["a", "a"])
                found[f"{serving} {calling}"] = await outcome(partial(client.say, long))
                found[f"{serving} {calling} type"] = await outcome(partial(client.call, "say", {"text": 5}))
    print(json.dumps(found))


anyio.run(main)
