"""Decodes a sample over and over: `main.py FOLDER SAMPLE ROUNDS`, which prints nanoseconds a decoding.

First with constraints, then without.
"""

import importlib
import sys
import time
from pathlib import Path

sys.path.insert(0, sys.argv[1])
orders = importlib.import_module("orders_protocol")
text = Path(sys.argv[2]).read_bytes()
rounds = int(sys.argv[3])
for constraints in (True, False):
    orders.decode("Orders", text, constraints=constraints)
    started = time.perf_counter_ns()
    for _ in range(rounds):
        orders.decode("Orders", text, constraints=constraints)
    sys.stdout.write(f"{(time.perf_counter_ns() - started) // rounds}\n")
