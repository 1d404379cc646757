"""The protocol `echo`: methods that wait as long as they are told."""

from __future__ import annotations

from protogen_compliance.fuzz.description import Json

LEFT_OUT = frozenset({"fail"})
"""It fails with whatever code it is told."""

MOST_SECONDS = 0.01
MOST_EVENTS = 20


def tamed(method: str, params: Json) -> Json:
    """The same params with short waits and few events."""
    if not isinstance(params, dict):
        return params
    bounds = {"sleep": {"seconds": MOST_SECONDS}, "count": {"to": MOST_EVENTS, "interval": MOST_SECONDS}}
    bounded = dict(params)
    for name, most in bounds.get(method, {}).items():
        value = bounded.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > most:
            bounded[name] = most
    return bounded
