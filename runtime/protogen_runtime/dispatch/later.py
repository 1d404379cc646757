"""What a handler hands out that will be there later, without a coroutine that waits for it.

A call that only waits for somebody else's work, such as a commit that many share, needs no task of its own: whoever
did the work tells whoever asked. Knows no transport and no scheduler.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

from msgspec import Raw

from protogen_runtime.jsonrpc import ErrorObject

S = TypeVar("S")
T = TypeVar("T")

Outcome: TypeAlias = Raw | ErrorObject
"""A result as JSON, or the error to answer with."""


class Later(Awaitable[T]):
    """A value that somebody sees to, whether or not anyone waits for it.

    Await it, or have it tell. Awaiting raises what it failed with; cancelling that withdraws it, where that is still
    possible.
    """

    __slots__ = ()

    @abstractmethod
    def tell(self, listener: Callable[[], None] | None) -> None:
        """Call `listener`, which must not raise, once there is a result; None: call nobody after all."""

    @abstractmethod
    def result(self) -> T:
        """The value, or its error raised; only once it is there."""

    @abstractmethod
    def withdraw(self) -> bool:
        """Nobody wants it any more: what has not begun is not done. False where it has."""


class Mapped(Later[T], Generic[S, T]):
    """What becomes of another one: its value converted, its error told in other words."""

    __slots__ = ("_convert", "_source", "_word")

    def __init__(
        self,
        source: Later[S],
        convert: Callable[[S], T],
        word: Callable[[Exception], Exception] | None = None,
    ) -> None:
        self._source = source
        self._convert = convert
        self._word = word

    def tell(self, listener: Callable[[], None] | None) -> None:
        """See Later."""
        self._source.tell(listener)

    def withdraw(self) -> bool:
        """See Later."""
        return self._source.withdraw()

    def result(self) -> T:
        """See Later."""
        try:
            value = self._source.result()
        except Exception as error:
            raise self._worded(error) from error
        return self._convert(value)

    def __await__(self) -> Generator[Any, Any, T]:
        try:
            value = yield from self._source.__await__()
        except Exception as error:
            raise self._worded(error) from error
        return self._convert(value)

    def _worded(self, error: Exception) -> Exception:
        return error if self._word is None else self._word(error)


class Unmade(Coroutine[Any, Any, Outcome]):
    """The coroutine of a call, which is not made before it runs."""

    __slots__ = ("_body",)

    def __init__(self) -> None:
        self._body: Coroutine[Any, Any, Outcome] | None = None

    @abstractmethod
    def _make(self) -> Coroutine[Any, Any, Outcome]:
        """The coroutine that runs."""

    @abstractmethod
    def _discard(self) -> None:
        """It was closed before it ran."""

    def _running(self) -> Coroutine[Any, Any, Outcome]:
        if self._body is None:
            self._body = self._make()
        return self._body

    def __await__(self) -> Generator[Any, None, Outcome]:
        return self._running().__await__()

    def send(self, value: Any, /) -> Any:
        """See Coroutine."""
        return self._running().send(value)

    def throw(
        self,
        typ: Any,
        val: BaseException | object | None = None,
        tb: TracebackType | None = None,
        /,
    ) -> Any:
        """See Coroutine."""
        return self._running().throw(typ, val, tb)

    def close(self) -> None:
        """End it, run or not."""
        if self._body is None:
            self._discard()
        else:
            self._body.close()


class Telling(Unmade):
    """A call whose outcome can be told in place of running it: one or the other at any time."""

    __slots__ = ()

    @abstractmethod
    def tell(self, listener: Callable[[Outcome], None] | None) -> None:
        """Call `listener`, which must not raise, with the outcome; None: call nobody after all."""
