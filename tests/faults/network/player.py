"""A schedule, played from its first client to its last question."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from faults import lab
from faults.network.checks import (
    after_clean_run,
    after_faults,
    as_planned,
    kept_whole,
    on_the_wire,
    once_more,
    receipts_of_each,
)
from faults.network.clients import Client, forked_sandbox, run_all
from faults.network.exchange import LOOPBACK
from faults.network.faults import FOREIGN
from faults.network.responses import WITHDRAWN
from faults.network.schedules import RUNS_THROUGH_FAULTS, Schedule

if TYPE_CHECKING:
    from pathlib import Path

    from faults.network.proxy import Switch


class World:
    """All that the schedules of one worker have in common, and what happens in each."""

    def __init__(self, scratch: Path, proxy: Switch) -> None:
        self._scratch = scratch
        self._proxy = proxy
        self._pool = [_files(scratch / "files", submission) for submission in range(9)]
        self._large = [_large(scratch / "large", 9_500_000)]
        self._middling = [_large(scratch / "middling", 7_500_000)]  # what one exchange still takes

    def play(self, plan: Schedule) -> tuple[list[tuple[str, str]], bool]:
        """Play one schedule; give its violations, and whether a fault really happened."""
        with lab.world(self._scratch, "schedule") as folder, forked_sandbox(folder / "sandbox") as port:
            return self._play(plan, folder, port)

    def _play(self, plan: Schedule, folder: Path, port: int) -> tuple[list[tuple[str, str]], bool]:
        pool = {"large": self._large, "middling": self._middling}.get(plan.pool, self._pool)
        sent = {submission: pool[submission][: plan.documents] for submission in plan.senders}
        clients = [
            Client(
                number,
                submission,
                sent[submission],
                folder / f"home-{0 if plan.shares_home else number}",
                has_short_limits=plan.has_short_limits,
                is_staged=number in plan.staged,
            )
            for number, submission in enumerate(plan.senders)
        ]
        foreign = self._foreign(plan, folder, port)
        self._proxy("arm", port, plan.plan, _as_given(foreign) if foreign else {}, plan.echoes)
        run_all(clients, self._proxy.url, folder / "faulty", most=RUNS_THROUGH_FAULTS, kills=plan.kills)
        attempts = [list(client.ran) for client in clients]
        self._proxy("calm")
        if WITHDRAWN in plan.plan.values():
            return self._withdrawn(clients[0], folder)
        faulty = self._proxy("seen")
        run_all(clients, self._proxy.url, folder / "clean")
        clean = self._proxy("seen")
        self._proxy("raise_late_ghosts")
        # Somebody else with the same documents has no ledger that knows: there, the service alone can tell.
        others = [
            Client(100 + submission, submission, files, folder / f"home-other-{submission}")
            for submission, files in sent.items()
        ]
        run_all(clients, self._proxy.url, folder / "again")
        again = self._proxy("seen")
        run_all(others, self._proxy.url, folder / "elsewhere")
        elsewhere = self._proxy("seen")
        elsewhere.document_bytes -= elsewhere.whole_bytes  # in one exchange nobody can ask before
        struck = {fault.rpartition(" at ")[0] for fault in faulty.struck}
        broken = [
            *kept_whole(folder / "sandbox", [*clients, *others, *([foreign] if foreign else [])]),
            *receipts_of_each([*clients, *others], lab.received(folder / "sandbox")),
            *once_more([client.ran[-1] for client in clients], again),
            *once_more([client.ran[-1] for client in others], elsewhere),
            *on_the_wire([faulty, clean, again, elsewhere], submissions=len(sent)),
            *as_planned(plan, attempts[0], faulty.document_bytes, clients[0].files),
        ]
        for client, tried in zip(clients, attempts, strict=True):
            may_be_killed = client.number in {who for who, _ in plan.kills}
            broken += after_faults(tried, struck, may_be_killed=may_be_killed)
            broken += after_clean_run(client.ran[len(tried)])
        was_killed = any(ran.code == lab.KILLED for tried in attempts for ran in tried)
        return broken, bool(struck) or was_killed or not plan.echoes

    def _foreign(self, plan: Schedule, folder: Path, port: int) -> Client | None:
        """Let somebody else's submission be received first, if the schedule needs its receipt."""
        if FOREIGN not in plan.plan.values():
            return None
        foreign = Client(99, 99, self._pool[-1][:1], folder / "home-foreign")
        run_all([foreign], f"http://{LOOPBACK}:{port}", folder / "foreign")
        foreign.trouble += after_clean_run(foreign.ran[0])
        return foreign

    def _withdrawn(self, client: Client, folder: Path) -> tuple[list[tuple[str, str]], bool]:
        """What was said to be withdrawn stays so, and --again is the way to send it, once."""
        struck = self._proxy("seen").struck
        run_all([client], self._proxy.url, folder / "clean")
        refused, document_bytes = client.ran[-1], self._proxy("seen").document_bytes
        run_all([client], self._proxy.url, folder / "again", more=["--again"])
        codes = [problem["code"] for problem in refused.result.get("problems", ())]
        broken = [*kept_whole(folder / "sandbox", [client]), *after_clean_run(client.ran[-1])]
        if (refused.code, codes, document_bytes) != (5, ["withdrawn"], 0):
            broken.append(
                ("other", f"after a withdrawal: {refused.code}, {codes}, {document_bytes} bytes sent")
            )
        return broken, bool(struck)


def _files(folder: Path, submission: int) -> list[Path]:
    """Three documents that no other submission has; the last of them takes more than one packet."""
    import samples

    folder.mkdir(parents=True, exist_ok=True)
    sizes = (4_000, 9_000, 300_000)
    return [
        samples.write(folder, f"payslip-{submission}-{n}.pdf", samples.pdf(10 * submission + n, size=size))
        for n, size in enumerate(sizes)
    ]


def _large(folder: Path, size: int) -> list[Path]:
    """One document that no buffers of a connection can take whole."""
    import samples

    folder.mkdir(parents=True, exist_ok=True)
    return [samples.write(folder, "payslip-large.pdf", samples.pdf(500, size=size))]


def _as_given(client: Client) -> dict[str, Any]:
    """The receipt as the sandbox wrote it, which is more than a result shows; {} if there is none."""
    receipts = [receipt for _, receipt in lab.ledger_rows(client.home).values() if receipt]
    return dict(json.loads(receipts[0])) if receipts else {}
