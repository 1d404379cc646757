"""Stepflow: flow documents, the engine that runs them, and the runtime and workers around it."""
