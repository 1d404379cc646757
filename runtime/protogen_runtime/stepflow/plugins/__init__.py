"""Plugins: where the components that steps name are executed, and how a step finds its one.

Knows no runs and no flows. Plugins ask the runtime for blobs and runs through `contract.Runtime`, and speak to workers
through the channels that `contract.Channels` makes.
"""
