"""Bugs that others made, planted into a copy of the program: the laboratory has to find each of them.

A planted bug is a change of a few lines (file, what stands there, what stands there instead) and the
experiment that must notice. If the program's text moves on, the change no longer fits, and that is an error too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import docsend
from faults import lab

_TESTS = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Bug:
    name: str
    changes: tuple[tuple[str, str, str], ...]
    probe: str  # a name of faults.__main__.PROBES


BUGS = (
    Bug(
        "a random key for every attempt",
        (
            (
                "submission.py",
                "base64.b32encode(hashlib.sha256(named).digest())",
                "base64.b32encode(__import__('os').urandom(32))",
            ),
        ),
        "kills",
    ),
    Bug(
        "the plan is written after the first byte has left",
        (
            (
                "send.py",
                "    (known,) = plan([checked], service, ledger)\n",
                (
                    "    service.declare(checked, may_be_received=True)\n"
                    "    (known,) = plan([checked], service, ledger)\n"
                ),
            ),
        ),
        "power",
    ),
    Bug(
        "the receipt is printed before it is on the disk",
        (
            (
                "send.py",
                "    ledger.received(service.name, checked.key, delivery.receipt)\n",
                "",
            ),
            (
                "cli/single.py",
                "        session.console.received(received, checked, delivery.receipt)\n",
                (
                    "        session.console.received(received, checked, delivery.receipt)\n"
                    "        with session.ledger() as late:\n"
                    "            late.received(service, checked.key, delivery.receipt)\n"
                ),
            ),
        ),
        "power",
    ),
    Bug(
        "the ledger does not wait for the disk (synchronous = OFF)",
        (("ledger.py", '"synchronous = FULL"', '"synchronous = OFF"'),),
        "power",
    ),
    Bug(
        "the sandbox does not wait for the disk before it says 201",
        (("sandbox/store.py", "            os.fsync(file.fileno())\n", "            pass\n"),),
        "power",
    ),
    Bug(
        "a 404 on the way makes a new key",
        (
            (
                "send.py",
                "        except (UnknownSubmission, IncompleteSubmission):\n            continue\n",
                (
                    "        except IncompleteSubmission:\n"
                    "            continue\n"
                    "        except UnknownSubmission:\n"
                    "            submission = submission.with_occurrence(submission.occurrence + 1)\n"
                    "            ledger.plan(service.name, submission)\n"
                    "            begin = lambda **_: service.declare(submission, may_be_received=True)\n"
                    "            continue\n"
                ),
            ),
        ),
        "network",
    ),
    Bug(
        "a further try sends the rest of the document only",
        (
            (
                "service/http.py",
                "        request = exchange.request\n        exchange.begin(connection)\n",
                (
                    "        request = exchange.request\n"
                    "        if b''.join(request.body)[:4] == b'%PDF':\n"
                    "            rest = b''.join(request.body)[_sent.get(request.path, 0) :]\n"
                    "            _sent[request.path] = _sent.get(request.path, 0) + 1024\n"
                    "            request = exchange.request = request._replace(body=(rest,))\n"
                    "        exchange.begin(connection)\n"
                ),
            ),
            (
                "service/http.py",
                "_KEPT_S = 5.0",
                "_sent: dict = {}\n_KEPT_S = 5.0",
            ),
        ),
        "network",
    ),
    Bug(
        "redirects are followed",
        (
            (
                "service/client.py",
                "        page = failures.of_redirect(response.status) if _is_redirect(response) else None\n",
                (
                    "        page = None\n"
                    "        if _is_redirect(response):\n"
                    "            there = __import__('urllib.parse').parse.urlsplit(response.headers['location'])\n"
                    "            url = f'{there.scheme}://{there.netloc}'\n"
                    "            endpoint = __import__('docsend.address').address.Endpoint(url)\n"
                    "            response = HttpClient(endpoint, url).exchange(request)\n"
                ),
            ),
        ),
        "network",
    ),
    Bug(
        "the sandbox keeps a 5xx as its answer",
        (
            (
                "sandbox/app.py",
                "        try:\n            async with asyncio.timeout(self._time_allowed(size)):\n",
                (
                    "        stored = __import__('pathlib').Path(_FAILED, request.url.path.replace('/', '_'))\n"
                    "        try:\n            async with asyncio.timeout(self._time_allowed(size)):\n"
                    "                if stored.exists():\n                    return problem(_failed())\n"
                ),
            ),
            (
                "sandbox/app.py",
                "        except (OSError, sqlite3.Error):  # the disk is full or broken: nothing was kept\n",
                "        except (OSError, sqlite3.Error):\n            stored.touch()\n",
            ),
            (
                "sandbox/app.py",
                "_MOST_DECLARATION = ",
                "_FAILED = __import__('os').environ['FAULTS_FOLDER']\n_MOST_DECLARATION = ",
            ),
        ),
        "service errnos",
    ),
    Bug(
        "the sandbox does not compare the digest of what arrived",
        (("sandbox/arrival.py", "if digest.hexdigest() != declared.sha256:", "if False:"),),
        "tampering",
    ),
    Bug(
        "a response is believed without its request's id",
        (
            (
                "service/http.py",
                "        if not self.is_trusted and (was_trusted or echoed_id is not None):\n",
                "        self.is_trusted = True\n        if False:\n",
            ),
        ),
        "network",
    ),
    Bug(
        "a response with two lengths is believed",
        (
            (
                "service/http.py",
                "    if status < 200 or (lengths != 1 and",
                "    if status < 200 or (lengths > 2 and",
            ),
        ),
        "network",
    ),
    Bug(
        "patience cuts a try that runs",
        (
            (
                "service/client.py",
                "        self._http = HttpClient(endpoint, url)\n",
                (
                    "        limits = __import__('docsend.service.exchange').service.exchange.LIMITS\n"
                    "        limits = limits._replace(grace_s=policy.total_s)\n"
                    "        self._http = HttpClient(endpoint, url, limits)\n"
                ),
            ),
        ),
        "network",
    ),
    Bug(
        "a page is a refusal whatever may have been received",
        (
            (
                "service/client.py",
                "is_refusal = failure.may_refuse and not (call.may_be_received or tries.may_have_arrived)",
                "is_refusal = failure.may_refuse",
            ),
        ),
        "network",
    ),
    Bug(
        "a personal submission leaves before it is on the disk that it may have",
        (("send.py", "is_durable=checked.is_signed)", "is_durable=False)"),),
        "power",
    ),
    Bug(
        "staged after one exchange, it is forgotten that a try may have arrived",
        (
            (
                "service/client.py",
                "refusal.fewer_than, may_be_received=tries.may_have_arrived,",
                "refusal.fewer_than, may_be_received=False,",
            ),
        ),
        "network",
    ),
    Bug(
        "a receipt that somebody else got is called this sender's own",
        (("service/client.py", "is_repeated=not is_own)", "is_repeated=False)"),),
        "kills",
    ),
    Bug(
        "a foreign answer says that nothing has arrived",
        (
            (
                "service/client.py",
                "    return response.has_arrived_whole and not",
                "    return False and not",
            ),
        ),
        "network",
    ),
    Bug(
        "one exchange takes more parts than were declared",
        (("sandbox/app.py", "            await parts.end()\n", "            await body.read_to_end()\n"),),
        "forms",
    ),
    Bug(
        "what one exchange was refused with stays on the disk",
        (
            (
                "sandbox/store.py",
                "            for file in files:\n                file.unlink(missing_ok=True)\n",
                "            pass\n",
            ),
        ),
        "forms",
    ),
    Bug(
        "a receipt is believed without looking whose it is",
        (
            ("service/responses.py", "    if sent != named:\n", "    if False:\n"),
            ("service/responses.py", "    if receipt.key != key:\n", "    if False:\n"),
        ),
        "network",
    ),
    Bug(
        "a repeated send is not replayed but makes another receipt",
        (
            (
                "sandbox/store.py",
                "        if kept.receipt is not None:\n            return kept.receipt\n",
                "        connection.execute('DELETE FROM receipt WHERE owner = ? AND key = ?', place)\n",
            ),
            ("sandbox/app.py", "        receipt = kept.receipt\n", "        receipt = None\n"),
            (
                "sandbox/store.py",
                'connection.execute("SELECT coalesce(max(number), 0) FROM receipt").fetchone()',
                'connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone() or (0,)',
            ),
        ),
        "network",
    ),
    Bug(
        "the session's token is written to the log",
        (
            (
                "service/http.py",
                "        is_kept = False\n",
                (
                    "        is_kept = False\n"
                    "        token = dict(exchange.request.headers).get(b'Authorization', b'')\n"
                    "        __import__('sys').stderr.write(f'{token.decode()}\\n')\n"
                ),
            ),
        ),
        "personal kills",
    ),
    Bug(
        "a key that was withdrawn may be opened again",
        (
            (
                "sandbox/store.py",
                '        if state == "withdrawn":\n            raise withdrawn()\n        if declared',
                (
                    '        if state == "withdrawn":\n'
                    "            connection.execute('DELETE FROM submission WHERE owner = ? AND key = ?', place)\n"
                    "            return None\n        if declared"
                ),
            ),
        ),
        "stories",
    ),
    Bug(
        "what was received expires like what was not",
        (
            (
                "sandbox/store.py",
                "WHERE state = 'open' AND expires_at < ?\"",
                "WHERE state != 'withdrawn' AND coalesce(expires_at, '2000') < ?\"",
            ),
            (
                "sandbox/store.py",
                'connection.execute("DELETE FROM submission',
                "connection.execute('DELETE FROM receipt WHERE owner = ? AND key = ?', place); connection.execute(\"DELETE FROM submission",
            ),
        ),
        "stories",
    ),
    Bug(
        "names of files reach the terminal as they are",
        (
            (
                "streams.py",
                "        character if unicodedata.category(character) not in _STEERING else _written_out(character)\n",
                "        character\n",
            ),
        ),
        "hostile",
    ),
)


def plant(bug: Bug, folder: Path) -> Path:
    """Copy the program and change the copy; give the folder for PYTHONPATH."""
    copy = folder / "docsend"
    shutil.copytree(Path(docsend.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for name, here, instead in bug.changes:
        text = (copy / name).read_text("utf-8")
        if text.count(here) != 1:
            raise LookupError(f"{bug.name}: {name} has this {text.count(here)} times: {here!r}")
        (copy / name).write_text(text.replace(here, instead), "utf-8")
    return folder


def hunt(bug: Bug, seed: int, scratch: Path) -> lab.Tally:
    """Run the experiment that must notice, over the changed copy. The tally is that experiment's."""
    with lab.world(scratch, "planted") as folder:
        source = plant(bug, folder / "source")
        (folder / "lab").mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "faults", "--probe", bug.probe, "--seed", str(seed)],
            cwd=_TESTS,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(source), str(_TESTS)]),
                "FAULTS_FOLDER": str(folder / "lab"),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
    tally = lab.Tally(bug.name, seed, note=bug.probe)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"{bug.name}: the probe said nothing: {done.stderr[-2000:]}")
    for line in lines:
        told = json.loads(line)
        tally.tried += told["tried"]
        tally.broken.update(told["broken"])
        tally.examples += told["examples"][:2]
    return tally
