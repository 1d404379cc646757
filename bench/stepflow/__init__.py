"""Stepflow: the engine alone."""
