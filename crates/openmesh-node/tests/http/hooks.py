"""Keeps schemathesis from waiting: a lease and a question may wait a minute, and a run has about one."""

import schemathesis

WAIT_MS_MAX = 20


def shorten(values, name):
    """Shortens a wait that is allowed; what is out of bounds stays."""
    if isinstance(values, dict) and isinstance(values.get(name), (int, float)) and 0 < values[name] <= 60_000:
        values[name] = min(values[name], WAIT_MS_MAX)


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """The last look at a request before it is sent."""
    shorten(case.query, "waitMs")
    shorten(case.body, "wait_ms")
