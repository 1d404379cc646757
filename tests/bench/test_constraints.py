"""The orders that the benchmark of constraints decodes are valid, and have something for every constraint to do."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import jsonschema_rs

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from constraints import suite  # noqa: E402 - the folder above is on sys.path only now


def test_orders_are_valid_and_broken_ones_are_not() -> None:
    schema = json.loads((ROOT / "bench" / "constraints" / "schema.json").read_text("utf-8"))
    validator = jsonschema_rs.validator_for({**schema, "$ref": "#/$defs/Orders"})
    orders = json.loads(suite.sample())
    assert len(orders) == suite.ORDERS
    assert validator.is_valid(orders)
    for change in ({"id": "abc"}, {"tags": ["a", "a"]}, {"lines": []}, {"note": "x" * 201}):
        assert not validator.is_valid([{**orders[0], **change}])
    line = orders[0]["lines"][1]
    for change in ({"article": "A"}, {"count": 1001}, {"price": 0.001}):
        assert not validator.is_valid([{**orders[0], "lines": [{**line, **change}]}])
