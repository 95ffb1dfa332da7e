"""Collects the checks of one program and prints them as `[[name, outcome], ...]`, as told-checks.mjs does."""

import json
import socket
import traceback

outcomes = []
_getaddrinfo = socket.getaddrinfo


def _this_machine(host, *args, **kwargs):
    """Resolves names below localhost and test to this machine (RFC 6761 §6.2, §6.3); not every C library does."""
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
