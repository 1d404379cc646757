"""One call by the generated Python SDK, told as the kit expects it.

Usage: python_sdk.py URL METHOD PARAMS
"""

from __future__ import annotations

import json
import sys

import trio
from echo_protocol import ServerClient
from echo_protocol.rpc.errors import CallError, RpcError
from msgspec import UNSET, to_builtins


async def main(url: str, method: str, params: str) -> int:
    async with ServerClient.http(url) as client:
        try:
            result = await client.call(method, json.loads(params))
        except RpcError as reason:
            data = {} if reason.data is UNSET else {"data": to_builtins(reason.data)}
            print(json.dumps({"error": {"code": reason.code, "message": reason.message, **data}}))
        except CallError as reason:
            print(f"{type(reason).__name__}: {reason}", file=sys.stderr)
            return 3
        else:
            print(json.dumps({"result": to_builtins(result)}))
    return 0


if __name__ == "__main__":
    sys.exit(trio.run(main, *sys.argv[1:4]))
