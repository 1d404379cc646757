"""What /metrics says is what prometheus_client's own parser reads, in one process and summed over several."""

from __future__ import annotations

import msgspec
from msgspec import Raw
from prometheus_client.parser import text_string_to_metric_families

from protogen_runtime.jsonrpc import METHOD_NOT_FOUND, ErrorObject
from protogen_runtime.observe import Metrics, Snapshot, metrics_page
from protogen_runtime.observe.metrics import BUCKETS_SECONDS, MAX_BOUNDS

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(body: bytes) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def filled() -> Metrics:
    metrics = Metrics()
    metrics.expect(["echo", 'a"b\\c\nd'], [-32001])
    metrics.count_call("echo", Raw(b"1"), 0.0002)
    metrics.count_call("echo", Raw(b"1"), 0.3)
    metrics.count_call("echo", ErrorObject(-32001, "declared"), 100.0)
    metrics.count_call("echo", ErrorObject(-32002, "not declared"), 0.0)
    metrics.count_call("echo", "cancelled", 0.0)
    metrics.count_call('a"b\\c\nd', Raw(b"1"), 0.0)
    metrics.count_call("nobody", METHOD_NOT_FOUND, 0.0)
    metrics.count_call("echo", Raw(b"1"), 600.0, streamed=True)
    metrics.count_refused("max_body_bytes")
    metrics.count_refused("max_body_bytes")
    metrics.in_flight = 3
    metrics.traffic.connections = 5
    metrics.traffic.open_connections = 2
    metrics.traffic.received_bytes += 100
    metrics.traffic.sent_bytes += 50
    metrics.read_log(lambda: (7, 1))
    return metrics


def test_exposition_is_read_by_the_parser() -> None:
    page = metrics_page(filled())
    assert (page.status, page.media_type.partition(";")[0]) == (200, "text/plain")
    found = samples(page.body)
    own = {key: value for key, value in found.items() if key[0].startswith("protogen_") and "bucket" not in key[0]}
    echo, odd, unknown = ("method", "echo"), ("method", 'a"b\\c\nd'), ("method", "(unknown)")
    assert own == {
        ("protogen_calls_total", (echo, ("outcome", "ok"))): 3,
        ("protogen_calls_total", (echo, ("outcome", "-32001"))): 1,
        ("protogen_calls_total", (echo, ("outcome", "other"))): 1,
        ("protogen_calls_total", (echo, ("outcome", "cancelled"))): 1,
        ("protogen_calls_total", (odd, ("outcome", "ok"))): 1,
        ("protogen_calls_total", (unknown, ("outcome", "-32601"))): 1,
        ("protogen_call_seconds_count", (echo,)): 5,
        ("protogen_call_seconds_sum", (echo,)): 100.3002,
        ("protogen_stream_seconds_count", (echo,)): 1,
        ("protogen_stream_seconds_sum", (echo,)): 600,
        ("protogen_call_seconds_count", (odd,)): 1,
        ("protogen_call_seconds_sum", (odd,)): 0,
        ("protogen_call_seconds_count", (unknown,)): 1,
        ("protogen_call_seconds_sum", (unknown,)): 0,
        ("protogen_calls_in_flight", ()): 3,
        ("protogen_slow_calls_total", ()): 0,
        ("protogen_connections_open", ()): 2,
        ("protogen_connections_total", ()): 5,
        ("protogen_received_bytes_total", ()): 100,
        ("protogen_sent_bytes_total", ()): 50,
        ("protogen_refused_total", (("bound", "max_body_bytes"),)): 2,
        ("protogen_log_records_total", ()): 7,
        ("protogen_log_dropped_total", ()): 1,
    }
    assert ("process_resident_memory_bytes", ()) in found


def test_buckets_add_up() -> None:
    found = samples(filled().render()[1])
    buckets = {
        dict(labels)["le"]: value
        for (name, labels), value in found.items()
        if name == "protogen_call_seconds_bucket" and dict(labels)["method"] == "echo"
    }
    assert list(map(float, buckets)) == [*BUCKETS_SECONDS, float("inf")]
    assert list(buckets.values()) == sorted(buckets.values())
    assert (buckets["0.0001"], buckets["0.00025"], buckets["0.5"], buckets["60.0"], buckets["+Inf"]) == (2, 3, 4, 4, 5)


def test_value_on_a_bound_belongs_to_its_bucket() -> None:
    metrics = Metrics()
    metrics.expect(["m"])
    metrics.count_call("m", Raw(b"1"), BUCKETS_SECONDS[3])
    assert metrics.snapshot().calls["m"].calls.buckets[3] == 1


def test_method_that_was_never_called_has_no_series() -> None:
    metrics = Metrics()
    metrics.expect(["echo"])
    assert not any("echo" in str(key) for key in samples(metrics.render()[1]))


def test_bounds_have_no_more_series_than_there_are_bounds() -> None:
    metrics = Metrics()
    for number in range(1000):
        metrics.count_refused(f"bound {number}")
    refused = metrics.snapshot().refused
    assert (len(refused), refused["other"]) == (MAX_BOUNDS + 1, 1000 - MAX_BOUNDS)


def test_numbers_of_other_processes_are_added() -> None:
    other = msgspec.json.decode(msgspec.json.encode(filled().snapshot()), type=Snapshot)
    alone, both = samples(filled().render()[1]), samples(filled().render([other])[1])
    own = {key for key in alone if key[0].startswith("protogen_")}
    assert {key: both[key] for key in own} == {key: 2 * alone[key] for key in own}


def test_rendering_changes_no_number() -> None:
    metrics = filled()
    assert metrics.render([metrics.snapshot()])[1] != metrics.render()[1]
    assert samples(metrics.render()[1])[("protogen_connections_total", ())] == 5
