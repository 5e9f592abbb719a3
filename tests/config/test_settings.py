"""Valid and invalid settings in options, in the environment and in config.toml."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pytest
import typer

import bad_input
import samples
from conftest import ABOUT, WHO
from docsend.cli import options as commands
from docsend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from docsend.cli.context import CommandContext

SEND = (*ABOUT, *WHO)


def configure(home: Path, content: str) -> None:
    (home / "docsend").mkdir()
    (home / "docsend" / "config.toml").write_text(content, "utf-8")


@pytest.mark.parametrize(
    "address",
    [
        "https://a..b",
        "https://.x",
        "https://",
        "https://exa mple",
        "https://exam\tple",
        "https://exam\nple.example",
        "https://\\x",
        "https://a\\b",
        "https://a%20b",
        f"https://{'a' * 64}.example",
        "https://documents.example:port",
        "https://documents.example:99999",
        "https://[::1",
        "https://documents.example?x=1",
        "ftp://documents.example",
        "https://\N{SNOWMAN}.\u200b",
        "",
    ],
    ids=ascii,
)
def test_an_invalid_address_is_a_usage_error(run, payslip, address) -> None:
    outcome = run("send", payslip, *SEND, "--service", address, "--json")
    assert (outcome.code, outcome.problems) == (2, ["usage"]), outcome.err


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "http://[::1]:9", "http://localhost:9"])
def test_this_machine_needs_no_https(run, payslip, address, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    assert run("send", payslip, *SEND, "--service", address).code == 6


@pytest.mark.parametrize(
    "address",
    [
        "https://documents.example",
        "https://documents.example.",
        "https://a_b.example",
        "https://בדיקה.example",
    ],
)
def test_valid_host_names_are_accepted(run, payslip, address) -> None:
    assert run("send", payslip, *SEND, "--dry-run", "--service", address).code == 0


@pytest.mark.parametrize("patience", ["nan", "inf", "-inf", "-1", "soon", "1e300"])
def test_an_invalid_patience_is_a_usage_error(run, payslip, monkeypatch, patience) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", patience)
    outcome = run("send", payslip, *SEND, "--service", "sandbox")
    assert outcome.code == 2
    assert "DOCSEND_PATIENCE" in outcome.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("patience = nan", "patience must be a number"),
        ("patience = -5", "patience must be a number"),
        ("patience = true", "patience must be a number"),
        ("patience = 'long'", "patience must be a number"),
        ("default_servise = 'x'", "did you mean default_service?"),
        ("[services.office]\nurl = 3", 'needs the line url = "https://..."'),
        ("[services.office]\nurl = 'https://x.example'\nproxy = 'x'", "unknown key 'proxy'"),
        ("[services.sandbox]\nurl = 'https://x.example'", "reserved for the sandbox"),
        ("default_service = 'elsewhere'", "unknown service: 'elsewhere'"),
        ("default_service = ''", "unknown service: ''"),
        ("services = 1", "services must consist of tables"),
        ("not toml", "config.toml"),
    ],
)
def test_an_invalid_configuration_is_reported_and_not_ignored(run, payslip, home, content, message) -> None:
    configure(home, content)
    outcome = run("send", payslip, *SEND, "-n")
    assert outcome.code == 2
    assert message in outcome.err


def test_a_flag_beats_the_environment_which_beats_the_file(run, payslip, home, monkeypatch) -> None:
    lines = [f"[services.{name}]\nurl = 'https://{name}.example'\n" for name in ("flag", "env", "file")]
    content = "default_service = 'file'\n" + "".join(lines)
    configure(home, content)
    send = ("send", payslip, *SEND, "-n", "--json")
    assert run(*send).json["service"] == "https://file.example"
    monkeypatch.setenv("DOCSEND_SERVICE", "env")
    assert run(*send).json["service"] == "https://env.example"
    assert run(*send, "--service", "flag").json["service"] == "https://flag.example"


# -- common options, before and after the command ----------------------------------------------------------


@pytest.mark.parametrize(
    "argv",
    [
        "--json --service sandbox receipts",
        "--json receipts --service sandbox",
        "receipts --json",
        "--service sandbox --lang fr --json receipts --quiet",
    ],
)
def test_a_common_option_applies_wherever_it_is_given(run, argv) -> None:
    outcome = run(*argv.split())
    assert (outcome.code, json.loads(outcome.out)["schema"]) == (0, "docsend.receipts/1")


def test_a_common_option_of_a_group_applies_to_its_commands(run, shared_sandbox, payslip) -> None:
    sent = run("--json", "--service", shared_sandbox.url, "send", payslip, *SEND, "--reference", "group").json
    for argv in (
        ("receipts", "--json", "show", sent["key"]),
        ("receipts", "show", "--json", sent["key"]),
        ("--json", "receipts", "show", sent["key"]),
    ):
        (shown,) = run(*argv).json["receipts"]
        assert shown["key"] == sent["key"]


@pytest.mark.parametrize(
    "argv",
    [
        "--service https://a.example send FILE --service https://b.example",
        "send FILE --service https://a.example --service=https://b.example",
        "--lang fr receipts --lang he",
        "receipts --lang fr show AAAAAAAA --lang he",
        "send FILE --to benefits --to employer-collection",
        "send FILE --subject unemployment --type payslips --subject maternity",
        "send FILE --id 000000018 --id 012345674",
        "send FILE --remark one --remark two",
        "send FILE --sender a --sender b",
        "send --batch a.csv --batch b.csv",
        "send --batch a.csv --report a.csv --report b.csv",
        "send --batch a.csv --jobs 1 --jobs 2",
        "send --batch a.csv --shard 1/2 --shard 2/2",
        "receipts --most 1 --most 2",
        "receipts export AAAAAAAA --output a.pdf --output b.pdf",
        "receipts export AAAAAAAA --format pdf --format text",
        "required upload A FILE --service sandbox --service https://a.example",
        "catalog payslips --to benefits --to personal",
        "login --code 1 --code 2",
        "senders add a --mobile 0501234567 --mobile 0507654321",
        "sandbox --port 1 --port 2",
    ],
)
def test_an_option_given_twice_with_different_values_is_refused(run, home, argv) -> None:
    outcome = run(*argv.split(), "--json")
    assert outcome.code == 2, outcome.out
    words = argv.replace("=", " ").split()
    again = [word for word in words if words.count(word) > 1 and word.startswith("--")]
    assert outcome.json["problems"][0]["message"] == f"{again[0]} was given twice with different values"
    assert not home.joinpath("docsend").exists()


def test_an_option_given_twice_with_the_same_value_is_accepted(run, payslip) -> None:
    service = ("--service", "https://first.example")
    argv = (*service, "send", payslip, *SEND, "-n", "--json", "--json", *service, "--to", "benefits")
    outcome = run(*argv)
    assert (outcome.code, outcome.json["service"]) == (0, "https://first.example")


def test_an_option_of_the_list_is_refused_with_a_subcommand(run) -> None:
    outcome = run("receipts", "--most", "3", "show", "AAAAAAAA")
    assert outcome.code == 2
    assert "--most is not an option of `docsend receipts show`" in outcome.err


def test_a_flag_of_a_group_is_refused_only_where_it_was_given() -> None:
    """No group has a flag of its own yet; the first one must not break the commands of its group."""
    app = typer.Typer()
    ran: list[str] = []

    def list_(_session: CommandContext, *, oldest_first: bool = False) -> None:
        ran.append(f"list {oldest_first}")

    def show(_session: CommandContext) -> None:
        ran.append("show")

    # Typer needs real annotations, and those of this module are strings.
    list_.__annotations__["oldest_first"] = Annotated[bool, typer.Option("--oldest-first")]
    commands.command(app, None, exits=(), example="receipts")(list_)
    commands.command(app, "show", exits=(), example="receipts show")(show)
    made = typer.main.get_command(app)
    made.main(["show"], standalone_mode=False)
    with pytest.raises(UsageError):
        made.main(["--oldest-first", "show"], standalone_mode=False)
    assert ran == ["show"]


def test_without_a_command_the_help_is_shown_and_the_exit_code_is_2(run) -> None:
    bare, requested = run(), run("--help")
    assert (bare.code, requested.code) == (2, 0)
    assert bare.out == requested.out
    assert "\\n" not in bare.out
    order = [line.split()[0] for line in requested.out.split("Commands:\n")[1].splitlines()[:8]]
    assert order == ["send", "login", "required", "catalog", "receipts", "senders", "doctor", "sandbox"]


# -- files that are not small regular files ----------------------------------------------------------------


def _make_socket(file: Path) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(file))


_UNSUITABLE_FILES: dict[str, Callable[[Path], object]] = {
    "a pipe that nobody writes": samples.named_pipe,
    "a device without an end": lambda file: file.symlink_to("/dev/full"),
    "a terminal": lambda file: file.symlink_to("/dev/tty"),
    "a folder": Path.mkdir,
    "a file of 2 MB": lambda file: file.write_bytes(b"#" * 2_000_000),
    "a socket": _make_socket,
}


@pytest.mark.parametrize("kind", _UNSUITABLE_FILES)
def test_a_configuration_that_is_not_a_small_regular_file_is_refused_without_blocking(
    spawn, home, kind
) -> None:
    file = home / "docsend" / "config.toml"
    file.parent.mkdir()
    _UNSUITABLE_FILES[kind](file)
    for command in (("receipts",), ("catalog", "payslips"), ("senders", "add", "a", "--id", "000000018")):
        outcome = spawn(*command, timeout=20)
        assert (outcome.code, outcome.out) == (2, "")
        assert f"{file} cannot be read: " in outcome.err
    assert spawn("doctor", timeout=20).code == 2
    assert spawn("_complete", "docsend", "send", "--sender", "", timeout=20).code == 0


def test_the_reason_why_a_configuration_cannot_be_read_is_in_the_reader_s_language(run, home) -> None:
    file = home / "docsend" / "config.toml"
    file.parent.mkdir()
    samples.named_pipe(file)
    assert "ce n'est pas un fichier ordinaire" in run("receipts", "--lang", "fr").err


@pytest.mark.parametrize("kind", _UNSUITABLE_FILES)
def test_a_password_file_that_is_not_a_small_regular_file_is_refused_without_blocking(
    spawn, tmp_path, kind
) -> None:
    file = tmp_path / "password"
    _UNSUITABLE_FILES[kind](file)
    if file.exists() and not file.is_symlink():
        file.chmod(0o600)
    environment = {"DOCSEND_CODE": "1002", "DOCSEND_PASSWORD_FILE": str(file), "DOCSEND_PATIENCE": "0"}
    outcome = spawn("required", "--service", "http://127.0.0.1:9", env=environment, timeout=20)
    # The first line of a long file is the password, up to a limit; then the service cannot be reached.
    assert outcome.code == (6 if kind == "a file of 2 MB" else 2), outcome.err
    assert "Traceback" not in outcome.err


def test_a_password_may_come_from_a_process_substitution(sandbox) -> None:
    script = (
        "DOCSEND_CODE=1002 DOCSEND_PASSWORD_FILE=<(sleep 0.5; echo fictional-clear) "
        f"{sys.executable} -m docsend required --service {sandbox.url}"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"the service asks for no documents\n")


@pytest.mark.parametrize("option", ["login --password-stdin --code 1002", "senders add a --booklet-stdin"])
def test_endless_standard_input_is_read_only_up_to_a_limit_for_a_secret(spawn, option) -> None:
    with Path("/dev/zero").open("rb") as endless:
        environment = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
        outcome = spawn(*option.split(), "--service", "sandbox", stdin=endless, env=environment, timeout=20)
    assert outcome.code in (2, 8)
    assert "Traceback" not in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="owners and permissions of POSIX")
@pytest.mark.parametrize("command", ["receipts", "doctor"])
def test_the_hint_for_a_configuration_of_another_user_does_not_suggest_a_change(run, home, command) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    config = home / "docsend" / "config.toml"
    config.parent.mkdir()
    config.write_text("default_service = 'office'\n")
    config.chmod(0)
    with bad_input.without_root_override():
        own = run(command)
        os.chown(config, 65534, 65534)
        foreign = run(command)
    output = own.out + own.err
    assert (own.code, f"chmod u+rw {config}" in output) == (2, True), own
    output = foreign.out + foreign.err
    assert foreign.code == 2
    assert "only its owner, nobody, can change it" in output
    assert not re.search("remove|mend|correct the permissions|chmod", output)


@pytest.mark.skipif(sys.platform == "win32", reason="owners and permissions of POSIX")
@pytest.mark.parametrize(("owner", "hint"), [(0, "chmod 600 "), (65534, "only its owner, nobody, can")])
def test_doctor_names_who_can_restrict_access_to_a_configuration(run, home, owner, hint) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    config = home / "docsend" / "config.toml"
    config.parent.mkdir()
    config.write_text("[senders.a]\nid = '000000018'\n")
    config.chmod(0o644)
    os.chown(config, owner, owner)
    with bad_input.without_root_override():
        outcome = run("doctor")
    assert ("others can read it" in outcome.out, hint in outcome.out) == (True, True), outcome.out


@pytest.mark.skipif(sys.platform == "win32", reason="owners and permissions of POSIX")
@pytest.mark.parametrize(
    ("owner", "code", "hint"),
    [(None, 8, "chmod u+rwx {folder}"), (65534, 2, "only its owner, nobody, can change it")],
)
def test_a_folder_that_cannot_be_written_is_named_with_its_owner(
    run, sandbox, payslip, home, owner, code, hint
) -> None:
    if sys.platform == "win32":
        raise NotImplementedError
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder = home / "docsend"
    folder.mkdir(mode=0o500)
    if owner is not None:
        os.chown(folder, owner, owner)
    with bad_input.without_root_override():
        outcome = run("send", payslip, *SEND, "--service", sandbox.url)
    assert (outcome.code, hint.format(folder=folder) in outcome.err) == (code, True), outcome.err
