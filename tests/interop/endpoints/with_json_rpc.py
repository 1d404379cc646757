"""An endpoint of json-rpc."""

from jsonrpc import JSONRPCResponseManager, dispatcher
from python_http import serve


@dispatcher.add_method
def add(a: float, b: float) -> float:
    return a + b


@dispatcher.add_method
def fail() -> None:
    raise RuntimeError("it failed")


def answer(request: str) -> str:
    response = JSONRPCResponseManager.handle(request, dispatcher)
    return "" if response is None else str(response.json)


if __name__ == "__main__":
    serve(answer)
