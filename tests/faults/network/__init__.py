"""Network faults, injected by a proxy between real clients and a real sandbox.

`experiment` starts two workers, each a separate interpreter, so that a patched docsend can come first on its
path. A worker imports docsend once and then forks: the proxy, which runs as long as the worker, a sandbox for
each schedule, and each client. The worker has no threads, so forking is safe. A forked client is a normal
process, which can be killed.

The proxy keeps its port for all schedules, because the ledger identifies a submission by URL and key. It runs
one schedule at a time. With several clients, the operating system decides which request is the n-th: a
schedule can be repeated (`experiment(1, seed, scratch, first=n)`), but its interleaving cannot.

The proxy forwards each request's `Request-Id`, and the sandbox's in return. Forged responses have the
request's id, too, as an attacker that knows HTTP would set it. Other faults omit the id or use another one.

A forged 409 "withdrawn" with the right id is not among the random faults. The contract makes it final, the
ledger stores it permanently, and the same command is refused from then on; `single_faults` checks exactly
that.
"""

from __future__ import annotations

from faults.network.experiments import experiment, run_worker, single_faults

__all__ = ("experiment", "run_worker", "single_faults")
