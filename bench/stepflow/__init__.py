"""Stepflow: runtimes and workers beside the published ones, and the engine alone."""
