"""An endpoint of jsonrpcserver."""

from jsonrpcserver import Result, Success, dispatch, method
from python_http import serve


@method
def add(a: float, b: float) -> Result:
    return Success(a + b)


@method
def fail() -> Result:
    raise RuntimeError("it failed")


if __name__ == "__main__":
    serve(dispatch)
