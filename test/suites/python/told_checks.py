"""The checks of one program, printed as `[[name, outcome], ...]` for whoever started it; told-checks.mjs in Python."""

import json
import socket
import traceback

outcomes = []
_getaddrinfo = socket.getaddrinfo


def _this_machine(host, *args, **kwargs):
    """Every name below localhost and test is this machine (RFC 6761 §6.2, §6.3), which not every C library knows."""
    name = host.decode() if isinstance(host, bytes) else host
    if name and name.endswith((".localhost", ".test")):
        host = "127.0.0.1"
    return _getaddrinfo(host, *args, **kwargs)


socket.getaddrinfo = _this_machine


def check(name):
    """Runs the decorated function at once; an exception is the check's outcome, and the next check is made all the same."""

    def run(work):
        try:
            work()
            outcomes.append([name, "passed"])
        except Exception:  # noqa: BLE001
            outcomes.append([name, traceback.format_exc(limit=-3)])
        return work

    return run


def same(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def report():
    print(json.dumps(outcomes))
