"""The network as the enemy: a proxy between real clients and a real sandbox that breaks what passes through.

Who is who. `experiment` starts up to two workers, each an interpreter of its own, so that a patched docsend
can stand first on its path. A worker imports docsend once and forks from then on: the proxy, which lives as
long as the worker, a sandbox for each schedule, and each client. The worker has no threads, so what it forks
is whole, and a forked client is a process like any other: it can be killed.

The proxy keeps its port over all schedules, for the ledger knows a submission by address and key. One
schedule at a time runs through it. Which request is the n-th is the machine's choice when several clients
run: a schedule can be played again (`experiment(1, seed, scratch, first=n)`), its interleaving cannot.

The proxy passes each request's `Request-Id` on, and the sandbox's back. What it says itself carries the id,
too: a liar that knows HTTP would. What comes without the id, or with another one, has its own faults.

What is not among the random faults: a forged 409 "withdrawn" with the right id. The contract makes it
final, the ledger keeps it for ever, and the same command is refused from then on; `catalogue` holds it to
exactly that.
"""

from __future__ import annotations

from faults.network.experiments import catalogue, experiment, work

__all__ = ("catalogue", "experiment", "work")
