"""Hostile configuration files and environment variables."""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import doubles
import samples
from docsend.config import settings
from docsend.errors import UsageError
from docsend.service import http
from faults import lab
from faults.hostile.files import mutate
from faults.hostile.inputs import PERSONAL_OPTIONS, HostileInputs
from faults.hostile.program import output_violations, program_environment, render, run_program, unsafe_text
from faults.hostile.texts import hostile_text

if TYPE_CHECKING:
    import random

    from faults.hostile.program import Violations

_HOSTS = (
    *(
        "documents.example",
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::1",
        "[fe80::1%25eth0]",
        "[v1.a]",
        "0",
        "1.1",
    ),
    *(
        "a..b",
        ".",
        "",
        "xn--a",
        "xn--",
        "ab--\xe4",
        "\u05d0.example",
        "a b",
        "a%00b",
        "-a-",
        "_a",
        "a" * 70,
        "a" * 300,
    ),
    *(
        "\u2100.example",
        "\uff0e",
        "LOCALHOST",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "127.0.0.1\\@evil.example",
    ),
    *("documents.example\r\nHost: x", "\u202eexample", "localhost.evil.example", "\ud800"[:0]),
)


def _service_url(rng: random.Random) -> str:
    scheme = rng.choice(
        ("https://",) * 4 + ("http://", "HTTPS://", "ftp://", "//", "", "https:/", "file:///", "x://")
    )
    who = rng.choice(("",) * 4 + (f"user:{lab.PASSWORD}@", "user@", "@", f":{lab.PASSWORD}@", "a@b@"))
    port = rng.choice(("",) * 4 + (":443", ":0", ":99999", ":-1", ":a", ":", ":\u0661", ":443:443"))
    path = rng.choice(
        ("",) * 4 + ("/", "/a/b//", "/..", "?a=b", "#c", "/%0d%0aX:y", "/a b", "/\u05d0", "/;x", "//")
    )
    return scheme + who + rng.choice(_HOSTS) + port + path


def _variable_value(rng: random.Random) -> str:
    value = rng.choice(
        (
            lambda: hostile_text(rng),
            lambda: _service_url(rng),
            lambda: rng.choice(
                ("0", "1", "300", "-1", "nan", "inf", "1e999", "1_0", " 5 ", "\u0665", "9" * 5000)
            ),
            lambda: rng.choice(
                ("he", "fr", "en", "xx", "HE", "sandbox", "a", "*", ",", "..", "/", "a" * 5000)
            ),
        )
    )()
    return value.replace("\0", "")


_KEYS = (
    "default_service",
    "patience",
    "services",
    "services.a",
    "services.a.url",
    '"a b"',
    "x",
    "default_servise",
)


def _toml(rng: random.Random) -> bytes:
    def value() -> str:
        return rng.choice(
            (
                lambda: json.dumps(_variable_value(rng)),
                lambda: rng.choice(
                    ("1", "-1", "nan", "inf", "1e999", "true", "1979-05-27", "9" * 5000, "0x" + "f" * 400)
                ),
                lambda: rng.choice(
                    ("{}", "[]", '{url = "https://a.example"}', "{a = {b = {}}}", '"""', "'a'")
                ),
                lambda: "[" * (depth := rng.choice((3, 300, 3000))) + "]" * depth,
            )
        )()

    lines = [
        rng.choice(
            (
                f"{rng.choice(_KEYS)} = {value()}",
                f"[{rng.choice(_KEYS)}]",
                f"[[{rng.choice(_KEYS)}]]",
                hostile_text(rng),
            )
        )
        for _ in range(rng.randrange(1, 5))
    ]
    if rng.random() < 0.4:
        lines = [
            f"default_service = {json.dumps('a')}",
            "[services.a]",
            f"url = {json.dumps(_service_url(rng))}",
        ]
    text = "\n".join(lines).encode("utf-8", "surrogateescape" if rng.random() < 0.5 else "replace")
    return mutate(rng, text, text) if rng.random() < 0.15 and text else text


_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY", "no_proxy", "HTTP_PROXY")
_VARIABLES = (
    *(
        "DOCSEND_SERVICE",
        "DOCSEND_LANG",
        "DOCSEND_PATIENCE",
        "DOCSEND_NO_INPUT",
        "DOCSEND_CODE",
        "DOCSEND_KEYRING",
    ),
    *("TERM", "LANG", "LC_ALL", "COLUMNS"),
)


class Settings(HostileInputs):
    def prepare(self) -> None:
        session, required = json.dumps({"token": "t", "expires_in": 3600}), json.dumps({"required": []})
        self.url, _ = self.resources.enter_context(
            doubles.service(
                lambda request: doubles.Reply(
                    200, (session if request.method == "POST" else required).encode()
                )
            )
        )
        self.password = samples.write(self.folder, "password", lab.PASSWORD.encode())
        self.password.chmod(0o600)

    def environment(self, rng: random.Random) -> dict[str, str]:
        """Return hostile environment variables, and write a configuration file in half of the cases."""
        home = self.home / "docsend"
        home.mkdir(exist_ok=True)
        (home / "config.toml").unlink(missing_ok=True)
        if rng.random() < 0.5:
            (home / "config.toml").write_bytes(_toml(rng))
        chosen = rng.sample(_VARIABLES, rng.randrange(4)) + rng.sample(_PROXIES, rng.randrange(3))
        hostile = {
            name: _service_url(rng).replace("\0", "")
            if name in _PROXIES or rng.random() < 0.2
            else _variable_value(rng)
            for name in chosen
        }
        if rng.random() < 0.1:
            hostile["DOCSEND_PASSWORD_FILE"] = str(self.folder / _variable_value(rng)[:200])
        for name in hostile.keys() - {*_PROXIES, "DOCSEND_SERVICE"}:  # users put no passwords there
            hostile[name] = hostile[name].replace(lab.PASSWORD, "x")
        self.description = ascii(hostile)
        return hostile

    def try_function(self, rng: random.Random) -> Violations:
        environment = {"DOCSEND_HOME": str(self.home / "docsend"), **self.environment(rng)}
        flag = _service_url(rng) if rng.random() < 0.4 else None
        self.description += f" --service {flag!a}"
        try:
            resolved = settings.resolve(service=flag, environment=environment)
        except UsageError as error:
            yield from unsafe_text(render(error.message, error.hint), "in an error")
            return
        if not math.isfinite(resolved.patience_s) or resolved.patience_s < 0:
            yield "other", f"a retry time of {resolved.patience_s}"
        endpoint = resolved.endpoint
        if endpoint is None or endpoint.url is None:
            return
        yield from self._url_violations(endpoint.url)
        if not endpoint.url.startswith("https") or rng.random() < 0.1:  # loading the certificates is slow
            with contextlib.suppress(UsageError):
                http.HttpClient(endpoint, endpoint.url).close()
        elif endpoint.proxy is not None:
            with contextlib.suppress(UsageError):
                http.HttpClient(endpoint, "http://127.0.0.1").close()

    def _url_violations(self, url: str) -> Violations:
        parts = urlsplit(url)
        yield from unsafe_text(url, "in a URL")
        if parts.username is not None or parts.password is not None or not parts.hostname:
            yield "wrong", f"a URL with credentials or without a host: {url!a}"
        is_here = parts.hostname == "localhost" or re.fullmatch(
            r"127\.\d+\.\d+\.\d+|::1", parts.hostname or ""
        )
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            yield "wrong", f"an http URL of another machine: {url!a}"

    def try_program(self, rng: random.Random) -> Violations:
        environment = program_environment(self.home, **self.environment(rng))
        environment["DOCSEND_PATIENCE"] = self_patience = environment.get("DOCSEND_PATIENCE", "0")
        self.description += f" patience {self_patience[:20]!a}"
        flag = ["--service", _service_url(rng).replace("\0", "")] if rng.random() < 0.3 else []
        as_json = rng.random() < 0.5
        if "DOCSEND_CODE" in environment:  # the personal service, at a URL that responds
            environment |= {"DOCSEND_SERVICE": self.url, "DOCSEND_PASSWORD_FILE": str(self.password)}
            argv = rng.choice(
                (["required"], ["login", "--status"], ["send", str(self.pdf), *PERSONAL_OPTIONS])
            )
            result = run_program([*argv, *(["--json"] if as_json else [])], environment)
            yield from output_violations(result, as_json=as_json)
            return
        more = [*flag, *(["--json"] if as_json else []), *(["-v"] if rng.random() < 0.2 else [])]
        argv = rng.choice(
            (["receipts"], ["catalog", "payslips"], ["send", str(self.pdf), *lab.CATALOG_OPTIONS, "-n"])
        )
        who = ["--id", lab.ID_NUMBER] if argv[0] == "send" else []
        yield from output_violations(run_program([*argv, *who, *more], environment), as_json=as_json)
