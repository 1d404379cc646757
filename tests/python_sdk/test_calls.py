"""Calls in both directions over every transport, under trio and asyncio: results, errors, callbacks, abandonment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import anyio
import pytest

Connect: TypeAlias = Callable[..., AbstractAsyncContextManager[Any]]

pytestmark = pytest.mark.anyio

HUGE = 123456789012345678901234567890


@pytest.fixture(autouse=True)
async def _deadline() -> Any:
    with anyio.fail_after(30):
        yield


async def wait_for(client: Any, toy: Any, key: str, want: Any) -> Any:
    """The server's state once its member `key` is `want`."""
    with anyio.fail_after(5):
        while True:
            state = (await client.echo(toy.EchoParams(value="state"))).value
            if state[key] == want:
                return state
            await anyio.sleep(0.005)


async def test_values_come_back_whole(connect: Connect, toy: Any) -> None:
    values: list[Any] = [None, "é\u2028😀\n", HUGE, -1.5, [], {}, {"a": [1, {"b": None}]}, True, "print", "x" * 300_000]
    async with connect() as client:
        for value in values:
            result = await client.echo(toy.EchoParams(value=value))
            assert (type(result), result.value) == (toy.EchoResult, value)


async def test_unknown_members_reach_the_other_side(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        raw = await client.call("echo", {"value": 1, "unknown": {"x": 1}})
        params = toy.EchoParams(value=2, extra={"unknown": [None]})
        assert raw == {"value": 1}
        assert (await client.echo(params)).value == 2


async def test_typed_error_has_its_class_and_data(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        with pytest.raises(toy.NotThereError) as caught:
            await client.echo(toy.EchoParams(value="typed error"))
    assert (caught.value.code, caught.value.message) == (-32001, "gone")
    assert caught.value.data == toy.NotThereData(name="x", extra={"more": 1})


async def test_other_errors_are_generic(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        with pytest.raises(toy.RpcError) as caught:
            await client.echo(toy.EchoParams(value="generic error"))
    assert type(caught.value) is toy.RpcError
    assert (caught.value.code, caught.value.message, caught.value.data) == (42, "forty-two", {"a": [1]})


async def test_what_goes_wrong_in_a_handler_stays_there(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        for value in ("crash", "bad result", "no result", "bad error"):
            with pytest.raises(toy.RpcError) as caught:
                await client.echo(toy.EchoParams(value=value))
            assert (caught.value.code, caught.value.message) == (-32603, "Internal error")
            assert caught.value.data is toy.types.UNSET


async def test_invalid_params_list_every_fault_with_its_path(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        with pytest.raises(toy.RpcError) as caught:
            await client.call("add", {"a": "1", "b": 2.5, "d": 1})
    assert caught.value.code == -32602
    assert sorted(fault["path"] for fault in caught.value.data["errors"]) == ["$.a", "$.b", "$.d"]


async def test_invalid_params_are_never_sent(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        with pytest.raises(toy.ValidationError) as caught:
            await client.add(toy.AddParams(a="1", b=2))
    assert [issue.path for issue in caught.value.errors] == ["$.a"]


async def test_unknown_method_is_not_found(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        for method in ("nope", "answer", ""):
            with pytest.raises(toy.RpcError) as caught:
                await client.call(method)
            assert (caught.value.code, caught.value.message) == (-32601, "Method not found")


async def test_either_structure_of_params(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        assert await client.add(toy.AddParams(a=1, b=2)) == 3
        assert await client.call("add", {"a": 1, "b": 2}) == 3
        assert await client.call("add", [1, 2]) == 3
        assert await client.call("add", [1, 2, 3]) == 6
        assert await client.call("add", {"a": 1.0, "b": HUGE}) == HUGE + 1
        for params in ([1], [1, 2, 3, 4], [1, "2"], []):
            with pytest.raises(toy.RpcError) as caught:
                await client.call("add", params)
            assert caught.value.code == -32602


async def test_params_by_position_are_an_array(connect: Connect, toy: Any) -> None:
    circle, square = toy.Circle(radius=1), toy.Square(side=2)
    async with connect() as client:
        assert await client.swap(toy.SwapParams(left=circle, right=square)) == [square, circle]
        assert await client.swap(toy.SwapParams(left=circle)) == [circle]
        assert await client.call("swap", [{"kind": "square"}]) == [{"kind": "square"}]


async def test_method_without_params(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        assert await client.class_() == {"method": "class"}
        assert await client.call("class", {}) == {"method": "class"}


async def test_notifications_are_delivered_and_never_answered(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        assert await client.log(toy.EchoParams(value="a")) is None
        await client.log(toy.EchoParams(value="crash"))
        await client.notify("nope")
        await client.notify("log", {"no": "value"})
        await client.log(toy.EchoParams(value="b"))
        await wait_for(client, toy, "log", ["a", "crash", "b"])


async def test_server_calls_back_during_a_call(connect: Connect, toy: Any, program: Any) -> None:
    answerer = program.Answerer(toy)
    async with connect(callbacks=toy.client_dispatcher(answerer)) as client:
        assert (await client.ask(toy.EchoParams(value={"n": HUGE}))).value == {"n": HUGE}
        assert (await client.ask(toy.EchoParams(value="busy"))).value == ["busy", -32002]
        assert (await client.ask(toy.EchoParams(value="many"))).value == list(range(10))
        assert (await client.ask(toy.EchoParams(value="ask back"))).value == "back"
        assert (await client.ask(toy.EchoParams(value="note"))).value == "noted"
        with anyio.fail_after(5):
            while not answerer.notes:
                await anyio.sleep(0.005)
    assert answerer.notes == ["note"]


async def test_callback_that_nobody_serves_is_not_found(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        with pytest.raises(toy.RpcError) as caught:
            await client.ask(toy.EchoParams(value=1))
    assert caught.value.code == -32601


async def test_calls_run_side_by_side(connect: Connect, toy: Any) -> None:
    results: list[Any] = []
    async with connect(timeout=None) as client:

        async def one(number: int) -> None:
            results.append((await client.echo(toy.EchoParams(value=number))).value)

        async with anyio.create_task_group() as group:
            group.start_soon(client.wait)
            await wait_for(client, toy, "waiting", 1)
            async with anyio.create_task_group() as inner:
                for number in range(30):
                    inner.start_soon(one, number)
            group.cancel_scope.cancel()
    assert sorted(results) == list(range(30))


async def test_abandoned_call_cancels_its_handler(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.wait)
            await wait_for(client, toy, "waiting", 1)
            group.cancel_scope.cancel()
        assert (await wait_for(client, toy, "cancelled", 1))["waiting"] == 0


async def test_late_call_times_out_and_cancels_its_handler(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        await wait_for(client, toy, "waiting", 0)
        with pytest.raises(toy.CallTimeoutError) as caught:
            await client.wait(timeout=0.2)
        assert isinstance(caught.value, TimeoutError)
        assert str(caught.value) == "wait was not answered within 0.2 s"
        await wait_for(client, toy, "cancelled", 1)


async def test_time_out_of_the_client_holds_for_every_call(over_http: Connect, toy: Any) -> None:
    async with over_http(timeout=0.05) as client:
        with pytest.raises(toy.CallTimeoutError):
            await client.wait()


async def test_call_without_events_is_answered_all_the_same(connect: Connect, toy: Any) -> None:
    async with connect() as client:
        assert (await client.jobs_run(toy.RunParams())).value[0] == 3


@pytest.fixture
def over_http(connectors: dict[str, Connect]) -> Connect:
    return connectors["http"]


async def test_events_come_typed_and_in_order_then_the_result(over_http: Connect, toy: Any) -> None:
    async with over_http() as client, client.jobs_run_stream(toy.RunParams(steps=2)) as stream:
        events = [event async for event in stream]
        result = await stream.result()
    option = toy.ProgressOption1
    assert [getattr(event, "value", event) for event in events] == [
        0,
        option(event="step", data={"at": 0}),
        1,
        option(event="step", data={"at": 1}),
    ]
    assert result.value == [2, True]


async def test_result_can_be_had_without_reading_events(over_http: Connect, toy: Any) -> None:
    async with over_http() as client, client.jobs_run_stream(toy.RunParams(steps=99)) as stream:
        assert (await stream.result()).value == [99, True]


async def test_leaving_a_stream_cancels_its_handler(over_http: Connect, toy: Any) -> None:
    async with over_http() as client:
        async with client.jobs_run_stream(toy.RunParams(steps=100)) as stream:
            async for _ in stream:
                break
        await wait_for(client, toy, "waiting", 0)


async def test_error_of_a_stream_is_raised_where_it_is_read(over_http: Connect, toy: Any) -> None:
    async with over_http() as client, client.jobs_run_stream(toy.RunParams(steps=100), timeout=0.3) as stream:
        with pytest.raises(toy.CallTimeoutError):
            async for _ in stream:
                pass


async def test_invalid_params_of_a_stream_are_never_sent(over_http: Connect, toy: Any) -> None:
    async with over_http() as client:
        with pytest.raises(toy.ValidationError):
            client.jobs_run_stream(toy.RunParams(steps=101))


async def test_error_in_the_callers_block_stays_what_it_is(over_http: Connect, toy: Any) -> None:
    async with over_http() as client:
        with pytest.raises(ZeroDivisionError):
            async with client.jobs_run_stream(toy.RunParams(steps=100)):
                raise ZeroDivisionError
        await wait_for(client, toy, "waiting", 0)
