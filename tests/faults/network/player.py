"""Run a schedule: clients with faults, clients without, and the checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from faults import lab
from faults.network.checks import (
    clean_run_violations,
    common_violations,
    exchange_violations,
    faulty_run_violations,
    plan_violations,
    receipt_violations,
    repeat_violations,
)
from faults.network.clients import Client, forked_sandbox, run_clients
from faults.network.exchange import LOOPBACK
from faults.network.faults import FOREIGN
from faults.network.responses import WITHDRAWN
from faults.network.schedules import MAX_FAULTY_RUNS, Schedule

if TYPE_CHECKING:
    from pathlib import Path

    from faults.network.proxy import ProxyController


class SchedulePlayer:
    """Runs the schedules of one worker, with its proxy and its documents."""

    def __init__(self, scratch: Path, proxy: ProxyController) -> None:
        self._scratch = scratch
        self._proxy = proxy
        self._pool = [_small_documents(scratch / "files", submission) for submission in range(9)]
        self._large = [_large_document(scratch / "large", 9_500_000)]
        self._medium = [_large_document(scratch / "middling", 7_500_000)]  # small enough for one exchange

    def play(self, plan: Schedule) -> tuple[list[tuple[str, str]], bool]:
        """Run one schedule; return its violations, and whether a fault was triggered."""
        with lab.workspace(self._scratch, "schedule") as folder, forked_sandbox(folder / "sandbox") as port:
            return self._play(plan, folder, port)

    def _play(self, plan: Schedule, folder: Path, port: int) -> tuple[list[tuple[str, str]], bool]:
        pool = {"large": self._large, "middling": self._medium}.get(plan.pool, self._pool)
        files_by_submission = {submission: pool[submission][: plan.documents] for submission in plan.senders}
        clients = [
            Client(
                number,
                submission,
                files_by_submission[submission],
                folder / f"home-{0 if plan.shares_home else number}",
                has_short_limits=plan.has_short_limits,
                is_staged=number in plan.staged,
            )
            for number, submission in enumerate(plan.senders)
        ]
        foreign = self._send_foreign(plan, folder, port)
        self._proxy("start", port, plan.plan, _stored_receipt(foreign) if foreign else {}, plan.echoes_ids)
        run_clients(clients, self._proxy.url, folder / "faulty", max_runs=MAX_FAULTY_RUNS, kills=plan.kills)
        faulty_runs = [list(client.runs) for client in clients]
        self._proxy("stop_faults")
        if WITHDRAWN in plan.plan.values():
            return self._withdrawal_violations(clients[0], folder)
        faulty = self._proxy("take_observations")
        run_clients(clients, self._proxy.url, folder / "clean")
        clean = self._proxy("take_observations")
        self._proxy("deliver_late_requests")
        # Other clients send the same documents without a ledger: only the service knows that it has them.
        others = [
            Client(100 + submission, submission, files, folder / f"home-other-{submission}")
            for submission, files in files_by_submission.items()
        ]
        run_clients(clients, self._proxy.url, folder / "again")
        again = self._proxy("take_observations")
        run_clients(others, self._proxy.url, folder / "elsewhere")
        from_others = self._proxy("take_observations")
        from_others.document_bytes -= from_others.one_exchange_bytes  # one exchange cannot check first
        triggered = {fault.rpartition(" at ")[0] for fault in faulty.triggered}
        violations = [
            *common_violations(folder / "sandbox", [*clients, *others, *([foreign] if foreign else [])]),
            *receipt_violations([*clients, *others], lab.received_submissions(folder / "sandbox")),
            *repeat_violations([client.runs[-1] for client in clients], again),
            *repeat_violations([client.runs[-1] for client in others], from_others),
            *exchange_violations([faulty, clean, again, from_others], submissions=len(files_by_submission)),
            *plan_violations(plan, faulty_runs[0], faulty.document_bytes, clients[0].files),
        ]
        for client, runs in zip(clients, faulty_runs, strict=True):
            may_be_killed = client.number in {who for who, _ in plan.kills}
            violations += faulty_run_violations(runs, triggered, may_be_killed=may_be_killed)
            violations += clean_run_violations(client.runs[len(runs)])
        was_killed = any(run.code == lab.KILLED for runs in faulty_runs for run in runs)
        return violations, bool(triggered) or was_killed or not plan.echoes_ids

    def _send_foreign(self, plan: Schedule, folder: Path, port: int) -> Client | None:
        """Send another submission first, if the schedule needs a foreign receipt, and return its client."""
        if FOREIGN not in plan.plan.values():
            return None
        foreign = Client(99, 99, self._pool[-1][:1], folder / "home-foreign")
        run_clients([foreign], f"http://{LOOPBACK}:{port}", folder / "foreign")
        foreign.violations += clean_run_violations(foreign.runs[0])
        return foreign

    def _withdrawal_violations(self, client: Client, folder: Path) -> tuple[list[tuple[str, str]], bool]:
        """Check that a submission reported as withdrawn stays so, and that --occurrence 2 sends it once."""
        triggered = self._proxy("take_observations").triggered
        run_clients([client], self._proxy.url, folder / "clean")
        refused, document_bytes = client.runs[-1], self._proxy("take_observations").document_bytes
        run_clients([client], self._proxy.url, folder / "again", extra=["--occurrence", "2"])
        codes = [problem["code"] for problem in refused.result.get("problems", ())]
        violations = [
            *common_violations(folder / "sandbox", [client]),
            *clean_run_violations(client.runs[-1]),
        ]
        if (refused.code, codes, document_bytes) != (5, ["withdrawn"], 0):
            violations.append(
                ("other", f"after a withdrawal: {refused.code}, {codes}, {document_bytes} bytes sent")
            )
        return violations, bool(triggered)


def _small_documents(folder: Path, submission: int) -> list[Path]:
    """Write three documents that no other submission has; the last one needs more than one packet."""
    import samples

    folder.mkdir(parents=True, exist_ok=True)
    sizes = (4_000, 9_000, 300_000)
    return [
        samples.write(folder, f"payslip-{submission}-{n}.pdf", samples.pdf(10 * submission + n, size=size))
        for n, size in enumerate(sizes)
    ]


def _large_document(folder: Path, size: int) -> list[Path]:
    """Write one document that is too large for the buffers of a connection."""
    import samples

    folder.mkdir(parents=True, exist_ok=True)
    return [samples.write(folder, "payslip-large.pdf", samples.pdf(500, size=size))]


def _stored_receipt(client: Client) -> dict[str, Any]:
    """Return the receipt with all members that the sandbox wrote, or {} if there is none."""
    receipts = [receipt for _, receipt in lab.ledger_rows(client.home).values() if receipt]
    return dict(json.loads(receipts[0])) if receipts else {}
