"""Faults that really happen, as a separate suite: real workers, a real Redis, the sandbox over HTTP.

`points` names the moments of the protocol, `worker_process` is a worker that dies or freezes at one of them, `rounds`
is the driver: random syncs, random faults, and after every round everything is checked. `python -m tests.chaos` runs
it for long; a short run is part of the tests.
"""
