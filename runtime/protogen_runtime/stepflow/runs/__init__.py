"""Runs: flows that are kept, runs of them that survive the process, and the blobs that both use.

Knows no transport: what serves runs to the world is built on `contract`.
"""
