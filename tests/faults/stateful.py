"""Stateful tests with Hypothesis: random sequences of steps on two ledgers and one service.

The steps are: send, withdraw, resume, lose a ledger, lose a response, wait up to six days, and restart the
service. After each step, every receipt and withdrawal so far is compared with the service's tables.
Hypothesis shrinks a failing sequence to the steps that matter.
"""

from __future__ import annotations

import contextlib
import itertools
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import doubles
from docsend.checks import documents, submission_rules
from docsend.config.address import Endpoint
from docsend.delivery import deliver
from docsend.errors import DocsendError, InvalidSubmission, Refused
from docsend.model.submission import CheckedSubmission, Submission
from docsend.sandbox import server
from docsend.sandbox.store import UNFINISHED_LIFETIME, Store
from docsend.service import failures
from docsend.service.client import ServiceClient
from docsend.service.failures import NoResponse
from docsend.service.one_exchange import NEVER, OneExchangePolicy
from docsend.service.responses import UnknownSubmission
from docsend.service.retry import RetryPolicy
from docsend.storage import catalogs
from docsend.storage.ledger import Ledger
from faults import lab

if TYPE_CHECKING:
    from docsend.model.receipt import Delivery, Receipt

CATALOG = catalogs.load()
SUBMISSIONS = st.integers(0, 2)
LEDGERS = st.sampled_from(["here", "there"])
# The number of the request at which the network fails, and whether the service has acted by then.
FAULTS = st.none() | st.tuples(st.integers(1, 6), st.booleans())
# Without retry time a call ends with its first failure; otherwise it is retried in the same run.
NO_PATIENCE = RetryPolicy(0)
ONE_EXCHANGE_POLICIES = st.sampled_from([OneExchangePolicy(2**20, ""), NEVER])
POLICIES = st.sampled_from([NO_PATIENCE, RetryPolicy(5, 0.001, 0.01)])


def _deliver(checked: CheckedSubmission, service: ServiceClient, ledger: Ledger) -> Delivery:
    """Deliver through a client that is already open."""
    return deliver.deliver(checked, service.name, ledger, lambda _: contextlib.nullcontext(service))


class FaultyClient(ServiceClient):
    """The real client, with a network failure at one request, before or after the service acts."""

    def __init__(
        self, *arguments: Any, fault: tuple[int, bool] | None, one_exchange: OneExchangePolicy = NEVER
    ) -> None:
        super().__init__(*arguments, one_exchange=one_exchange)
        self._fault = fault
        self._count = itertools.count(1)

    def _exchange(self, *args: Any) -> Any:
        number = next(self._count)
        if self._fault == (number, False):
            raise NoResponse(failures.connection_broken("connecting"), may_have_arrived=False)
        response = super()._exchange(*args)
        if self._fault == (number, True):
            raise NoResponse(failures.connection_broken("waiting"), may_have_arrived=True)
        return response


class SubmissionMachine(RuleBasedStateMachine):
    """The state machine; it stores each receipt that was issued and each key that was withdrawn."""

    def __init__(self) -> None:
        super().__init__()
        self._resources = contextlib.ExitStack()
        self.folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory(dir=_memory_folder())))
        self.name = "http://127.0.0.1:1"  # the service's name in the ledgers, whatever its port is
        self.receipts: dict[str, Receipt] = {}
        self.withdrawn: set[str] = set()
        self._server = contextlib.ExitStack()
        self._start()
        files = lab.make_documents(self.folder / "files", 5, 1)
        self.checked = [self._check(files[:1]), self._check(files[1:3]), self._check(files[3:])]

    def _check(self, files: list[Path]) -> CheckedSubmission:
        submission = Submission(
            to="benefits", subject="unemployment", category="employer", type="payslips", id=lab.ID_NUMBER
        )
        checked = submission_rules.check(
            submission.with_documents(documents.read_all(files, max_bytes=2**20)), CATALOG
        )
        assert isinstance(checked, CheckedSubmission)
        return checked

    def _start(self) -> None:
        self._server = contextlib.ExitStack()
        self.url = self._server.enter_context(server.run_in_background(self.folder / "sandbox"))

    def _client(
        self,
        fault: tuple[int, bool] | None,
        policy: RetryPolicy = NO_PATIENCE,
        one_exchange: OneExchangePolicy = NEVER,
    ) -> FaultyClient:
        arguments = Endpoint(self.name), self.url, policy, doubles.NoProgress()
        return FaultyClient(*arguments, fault=fault, one_exchange=one_exchange)

    def _ledger(self, which: str) -> Ledger:
        return Ledger(self.folder / which / "ledger.sqlite3")

    def _record_receipt(self, key: str, receipt: Receipt) -> None:
        assert key not in self.withdrawn, "a withdrawn submission was received"
        assert self.receipts.setdefault(key, receipt).body == receipt.body, "another receipt for the same key"

    # -- steps ---------------------------------------------------------------------------------------------

    @rule(
        which=SUBMISSIONS,
        ledger=LEDGERS,
        fault=FAULTS,
        policy=POLICIES,
        occurrence=st.integers(1, 2),
        one_exchange=ONE_EXCHANGE_POLICIES,
    )
    def send(
        self,
        which: int,
        ledger: str,
        fault: tuple[int, bool] | None,
        policy: RetryPolicy,
        occurrence: int,
        one_exchange: OneExchangePolicy,
    ) -> None:
        checked = self.checked[which].with_occurrence(occurrence)
        with self._ledger(ledger) as opened, self._client(fault, policy, one_exchange) as service:
            try:
                delivery = _deliver(checked, service, opened)
            except Refused:
                assert checked.key in self.withdrawn, "refused without a reason"
                return
            except InvalidSubmission:
                first = self.checked[which].key
                assert occurrence > 1, "refused without a reason"
                assert first not in self.withdrawn
                assert first not in self.receipts or opened.find(self.name, first), "a receipt was not found"
                return
            except DocsendError:
                assert fault is not None, "it failed without a fault"
                assert not policy.total_s, "a failed request was not retried"
                return
            self._record_receipt(checked.key, delivery.receipt)
            entry = opened.find(self.name, checked.key)
            assert entry is not None
            assert entry.state == "received"
            assert entry.receipt == delivery.receipt.body

    @rule(ledger=LEDGERS, fault=FAULTS)
    def resume(self, ledger: str, fault: tuple[int, bool] | None) -> None:
        with self._ledger(ledger) as opened, self._client(fault) as service:
            for entry in opened.unfinished():
                try:
                    delivery = deliver.resume(entry, service, opened)
                except Refused:
                    assert entry.key in self.withdrawn
                except UnknownSubmission:
                    assert entry.key not in self.receipts, "the service has forgotten a receipt"
                except DocsendError:
                    assert fault is not None
                else:
                    self._record_receipt(entry.key, delivery.receipt)

    @rule(which=SUBMISSIONS, fault=FAULTS)
    def withdraw(self, which: int, fault: tuple[int, bool] | None) -> None:
        key = self.checked[which].key
        with self._client(fault) as service:
            try:
                status = service.withdraw(key, with_token=False)
            except DocsendError:
                assert fault is not None
                if fault == (1, True) and key not in self.receipts:
                    self.withdrawn.add(key)  # the service has withdrawn it; only the response was lost
                return
        if status.receipt is None:
            assert key not in self.receipts, "a received submission was withdrawn"
            self.withdrawn.add(key)
        else:
            self._record_receipt(key, status.receipt)

    @rule(ledger=LEDGERS)
    def lose_the_ledger(self, ledger: str) -> None:
        (self.folder / ledger / "ledger.sqlite3").unlink(missing_ok=True)

    @rule(chance=st.integers(0, 7))
    def restart_the_service(self, chance: int) -> None:
        if chance == 0:  # a restart takes a fifth of a second, so it is rare
            self._server.close()
            self._start()

    @rule(days=st.integers(0, 6))
    def let_time_pass(self, days: int) -> None:
        """Advance the clock: unfinished declarations expire after three days, receipts and withdrawals never.

        A second store on the same folder, with a later clock, removes what has expired while the service
        runs.
        """
        later = datetime.now(UTC) + UNFINISHED_LIFETIME * days / 3 + timedelta(seconds=days)
        Store(self.folder / "sandbox", now=lambda: later).close()

    @precondition(lambda self: self.receipts)
    @rule(data=st.data(), ledger=LEDGERS, one_exchange=ONE_EXCHANGE_POLICIES)
    def send_a_received_submission_again(
        self, data: st.DataObject, ledger: str, one_exchange: OneExchangePolicy
    ) -> None:
        """Check that the same command always shows the same receipt.

        It is not reported as repeated if this ledger had recorded the submission without a receipt.
        """
        key = data.draw(st.sampled_from(sorted(self.receipts)))
        checked = next(
            submission.with_occurrence(n)
            for submission in self.checked
            for n in (1, 2)
            if submission.with_occurrence(n).key == key
        )
        with self._ledger(ledger) as opened, self._client(None, one_exchange=one_exchange) as service:
            before = opened.find(self.name, key)
            delivery = _deliver(checked, service, opened)
        assert delivery.is_repeated == (before is None or before.state == "received")
        self._record_receipt(key, delivery.receipt)

    # -- invariants ----------------------------------------------------------------------------------------

    @invariant()
    def every_receipt_and_withdrawal_is_permanent(self) -> None:
        received = {
            submission.key: submission for submission in lab.received_submissions(self.folder / "sandbox")
        }
        by_digest = {document.sha256 for checked in self.checked for document in checked.documents}
        for key, receipt in self.receipts.items():
            assert key in received, "lost"
            assert received[key].number == receipt.number
            assert all(sha256 in by_digest for _, sha256 in received[key].documents), "other bytes"
        assert not self.withdrawn & received.keys(), "received after it was withdrawn"
        numbers = [submission.number for submission in received.values()]
        assert len(numbers) == len(set(numbers))

    def teardown(self) -> None:
        self._server.close()
        self._resources.close()


def _memory_folder() -> str | None:
    memory = Path("/dev/shm")  # noqa: S108 - a folder in memory, if the system has one
    return str(memory) if memory.is_dir() else None


def experiment(examples: int, seed_: int, scratch: Path, *, steps: int = 30) -> lab.FaultSummary:
    """Run `examples` sequences of steps; the shortest that violates an invariant is the summary's example."""
    summary = lab.FaultSummary("stateful tests of two ledgers and one service (Hypothesis)", seed_)
    profile = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    try:
        run_state_machine_as_test(seed(seed_)(SubmissionMachine), settings=profile)
    except Exception as error:
        notes = "\n".join(getattr(error, "__notes__", []))
        summary.add("a sequence", [("other", f"{type(error).__name__}: {error}\n{notes}")])
    summary.tried = summary.triggered = examples
    summary.note = f"up to {steps} steps each"
    return summary
