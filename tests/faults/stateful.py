"""Random stories, told by Hypothesis: two ledgers, one service, and what people and networks do to them.

A story is a sequence of steps (send, withdraw, resume, lose a ledger, lose an answer, wait three days, start
the service again). After each step, what was ever promised is held against the service's tables; a story that
breaks a promise is shortened to the steps that matter, and printed.
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
from docsend.errors import DocsendError, Refused
from docsend.model.submission import CheckedSubmission, Submission
from docsend.sandbox import server
from docsend.sandbox.store import KEEPS_UNFINISHED, Store
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
# At which request of a run the network fails, and whether the service has acted by then.
FAULTS = st.none() | st.tuples(st.integers(1, 6), st.booleans())
# Without patience a call ends with its first failure; with some it is repeated in the same run.
NO_PATIENCE = RetryPolicy(0)
WAYS = st.sampled_from([OneExchangePolicy(2**20, ""), NEVER])
POLICIES = st.sampled_from([NO_PATIENCE, RetryPolicy(5, 0.001, 0.01)])


def _delivered(checked: CheckedSubmission, service: ServiceClient, ledger: Ledger) -> Delivery:
    """Deliver to a service that is open already."""
    sent = deliver.deliver(checked, service.name, ledger, lambda _: contextlib.nullcontext(service))
    assert sent.submission == checked
    return sent.delivery


class Faulty(ServiceClient):
    """The real client over the real socket; one of its requests fails, before or after the service acts."""

    def __init__(
        self, *arguments: Any, fault: tuple[int, bool] | None, one_exchange: OneExchangePolicy = NEVER
    ) -> None:
        super().__init__(*arguments, one_exchange=one_exchange)
        self._fault = fault
        self._count = itertools.count(1)

    def _exchange(self, *asked: Any) -> Any:
        number = next(self._count)
        if self._fault == (number, False):
            raise NoResponse(failures.connection_broken("connecting"), may_have_arrived=False)
        response = super()._exchange(*asked)
        if self._fault == (number, True):
            raise NoResponse(failures.connection_broken("waiting"), may_have_arrived=True)
        return response


class Story(RuleBasedStateMachine):
    """The promises so far: each receipt that was given, each key that was fenced off."""

    def __init__(self) -> None:
        super().__init__()
        self._resources = contextlib.ExitStack()
        self.folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory(dir=_fast_folder())))
        self.name = "http://127.0.0.1:1"  # what the ledgers call the service, whatever its port is today
        self.receipts: dict[str, Receipt] = {}
        self.withdrawn: set[str] = set()
        self._server = contextlib.ExitStack()
        self._start()
        files = lab.documents(self.folder / "files", 5, 1)
        self.checked = [self._check(files[:1]), self._check(files[1:3]), self._check(files[3:])]

    def _check(self, files: list[Path]) -> CheckedSubmission:
        stated = Submission(
            to="benefits", subject="unemployment", category="employer", type="payslips", id=lab.PERSON
        )
        checked = submission_rules.check(
            stated.with_documents(documents.read_all(files, max_bytes=2**20)), CATALOG
        )
        assert isinstance(checked, CheckedSubmission)
        return checked

    def _start(self) -> None:
        self._server = contextlib.ExitStack()
        self.url = self._server.enter_context(server.beside(self.folder / "sandbox"))

    def _client(
        self,
        fault: tuple[int, bool] | None,
        policy: RetryPolicy = NO_PATIENCE,
        one_exchange: OneExchangePolicy = NEVER,
    ) -> Faulty:
        arguments = Endpoint(self.name), self.url, policy, doubles.Nobody()
        return Faulty(*arguments, fault=fault, one_exchange=one_exchange)

    def _ledger(self, which: str) -> Ledger:
        return Ledger(self.folder / which / "ledger.sqlite3")

    def _received(self, key: str, receipt: Receipt) -> None:
        assert key not in self.withdrawn, "received what had been fenced off"
        assert self.receipts.setdefault(key, receipt).body == receipt.body, "another receipt for the same key"

    # -- what happens --------------------------------------------------------------------------------------

    @rule(
        which=SUBMISSIONS,
        ledger=LEDGERS,
        fault=FAULTS,
        policy=POLICIES,
        occurrence=st.integers(1, 2),
        way=WAYS,
    )
    def send(
        self,
        which: int,
        ledger: str,
        fault: tuple[int, bool] | None,
        policy: RetryPolicy,
        occurrence: int,
        way: OneExchangePolicy,
    ) -> None:
        checked = self.checked[which].with_occurrence(occurrence)
        with self._ledger(ledger) as kept, self._client(fault, policy, way) as service:
            try:
                delivery = _delivered(checked, service, kept)
            except Refused:
                assert checked.key in self.withdrawn, "refused without a reason"
                return
            except DocsendError:
                assert fault is not None, "it failed although nothing was wrong"
                assert not policy.total_s, "one failure was not repeated"
                return
            self._received(checked.key, delivery.receipt)
            entry = kept.find(self.name, checked.key)
            assert entry is not None
            assert entry.state == "received"
            assert entry.receipt == delivery.receipt.body

    @rule(ledger=LEDGERS, fault=FAULTS)
    def resume(self, ledger: str, fault: tuple[int, bool] | None) -> None:
        with self._ledger(ledger) as kept, self._client(fault) as service:
            for entry in kept.unfinished():
                try:
                    delivery = deliver.resume(entry, service, kept)
                except Refused:
                    assert entry.key in self.withdrawn
                except UnknownSubmission:
                    assert entry.key not in self.receipts, "the service has forgotten a receipt"
                except DocsendError:
                    assert fault is not None
                else:
                    self._received(entry.key, delivery.receipt)

    @rule(which=SUBMISSIONS, fault=FAULTS)
    def withdraw(self, which: int, fault: tuple[int, bool] | None) -> None:
        key = self.checked[which].key
        with self._client(fault) as service:
            try:
                status = service.withdraw(key, signed=False)
            except DocsendError:
                assert fault is not None
                if fault == (1, True) and key not in self.receipts:
                    self.withdrawn.add(key)  # it was done all the same; only the answer was lost
                return
        if status.receipt is None:
            assert key not in self.receipts, "what was received can be withdrawn"
            self.withdrawn.add(key)
        else:
            self._received(key, status.receipt)

    @rule(ledger=LEDGERS)
    def lose_the_ledger(self, ledger: str) -> None:
        (self.folder / ledger / "ledger.sqlite3").unlink(missing_ok=True)

    @rule(chance=st.integers(0, 7))
    def start_the_service_again(self, chance: int) -> None:
        if chance == 0:  # it takes a fifth of a second, which is long for a story
            self._server.close()
            self._start()

    @rule(days=st.integers(0, 6))
    def let_time_pass(self, days: int) -> None:
        """Unfinished declarations expire after three days; receipts and withdrawals never.

        Another process over the same folder sweeps, while the service goes on.
        """
        later = datetime.now(UTC) + KEEPS_UNFINISHED * days / 3 + timedelta(seconds=days)
        Store(self.folder / "sandbox", now=lambda: later).close()

    @precondition(lambda self: self.receipts)
    @rule(data=st.data(), ledger=LEDGERS, way=WAYS)
    def send_again_what_was_received(self, data: st.DataObject, ledger: str, way: OneExchangePolicy) -> None:
        """Whatever happened, the same command shows the same receipt; its own lost one is not repeated."""
        key = data.draw(st.sampled_from(sorted(self.receipts)))
        checked = next(
            one.with_occurrence(n)
            for one in self.checked
            for n in (1, 2)
            if one.with_occurrence(n).key == key
        )
        with self._ledger(ledger) as kept, self._client(None, one_exchange=way) as service:
            before = kept.find(self.name, key)
            delivery = _delivered(checked, service, kept)
        assert delivery.is_repeated == (before is None or before.state == "received")
        self._received(key, delivery.receipt)

    # -- what has to hold ----------------------------------------------------------------------------------

    @invariant()
    def every_promise_is_kept(self) -> None:
        kept = {one.key: one for one in lab.received(self.folder / "sandbox")}
        by_digest = {document.sha256 for checked in self.checked for document in checked.documents}
        for key, receipt in self.receipts.items():
            assert key in kept, "lost"
            assert kept[key].number == receipt.number
            assert all(sha256 in by_digest for _, sha256 in kept[key].documents), "other bytes"
        assert not self.withdrawn & kept.keys(), "received after it was fenced off"
        numbers = [one.number for one in kept.values()]
        assert len(numbers) == len(set(numbers))

    def teardown(self) -> None:
        self._server.close()
        self._resources.close()


def _fast_folder() -> str | None:
    memory = Path("/dev/shm")  # noqa: S108 - a folder in memory, where there is one
    return str(memory) if memory.is_dir() else None


def experiment(examples: int, seed_: int, scratch: Path, *, steps: int = 30) -> lab.Tally:
    """Let Hypothesis tell so many stories; the shortest that breaks a promise is the tally's example."""
    tally = lab.Tally("stories of two ledgers and one service (Hypothesis)", seed_)
    told = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
        print_blob=False,
    )
    try:
        run_state_machine_as_test(seed(seed_)(Story), settings=told)
    except Exception as broken:
        notes = "\n".join(getattr(broken, "__notes__", []))
        tally.add("a story", [("other", f"{type(broken).__name__}: {broken}\n{notes}")])
    tally.tried = tally.struck = examples
    tally.note = f"up to {steps} steps each"
    return tally
