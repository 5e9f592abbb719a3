"""Texts for people are translated; output for programs is the same in every language."""

from __future__ import annotations

import gettext
import importlib
import io
import itertools
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from babel.messages.mofile import write_mo

import bad_input
import bad_manifests
import doubles
import samples
from conftest import ABOUT, PERSON, WHO
from docsend import i18n
from docsend.i18n import LocalizedName, Message, Translator
from docsend.model import catalog
from terminals import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

ROOT = Path(__file__).parent.parent
SEND = (*ABOUT, *WHO)
TRANSLATED = ("fr", "he")
COMMANDS = (
    (), ("send",), ("login",), ("required",), ("required", "upload"), ("catalog",), ("receipts",),
    ("receipts", "show"), ("receipts", "resume"), ("receipts", "export"), ("senders", "add"), ("doctor",),
    ("sandbox",),
)  # fmt: skip
# The isolates of UAX 9: left-to-right isolate, first strong isolate, pop directional isolate.
LRI, FSI, PDI = "\u2066", "\u2068", "\u2069"
HEBREW = re.compile("[\u05d0-\u05ea]")


def test_the_catalogs_are_up_to_date_and_no_translation_lacks_a_placeholder() -> None:
    command: list[str | Path] = [sys.executable, ROOT / "tools" / "locale" / "build.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def script() -> Iterator[Callable[[str], ModuleType]]:
    """Return a function that imports a script of tools/locale."""
    with pytest.MonkeyPatch.context() as patches:
        patches.syspath_prepend(str(ROOT / "tools" / "locale"))
        yield importlib.import_module
    for name in ("build", "hatch_build"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def untranslated(script) -> set[str]:
    """Return the texts without a translation in some language, which are shown in English."""
    build = script("build")
    return {text for language in TRANSLATED for text in build.untranslated(build.read(language))}


@pytest.fixture
def locale_build(script, monkeypatch, tmp_path) -> ModuleType:
    """Return the script tools/locale/build.py, working on a copy of the catalogs."""
    build: ModuleType = script("build")
    shutil.copytree(i18n.FOLDER, tmp_path / "locale")
    monkeypatch.setattr(build, "FOLDER", tmp_path / "locale")
    monkeypatch.setattr(build, "compile_all", lambda: None)
    return build


def _run_check(build: ModuleType, monkeypatch) -> int:
    monkeypatch.setattr(sys, "argv", ["build.py", "--check"])
    code: int = build.main()
    return code


def _change(build: ModuleType, before: str, after: str) -> None:
    file = build.catalog_file("fr")
    text = file.read_text("utf-8")
    assert text.count(before) == 1
    file.write_text(text.replace(before, after), "utf-8")


NO_FILE = 'msgid "there is no file {name}"\nmsgstr '
NO_FICHIER = '"il n\'y a pas de fichier {name}"'


@pytest.mark.parametrize("translation", ['"il n\'y a pas ce fichier"', '"il n\'y a pas de fichier {nom}"'])
def test_the_check_fails_for_a_translation_that_lacks_or_renames_a_placeholder(
    locale_build, monkeypatch, capsys, translation
) -> None:
    _change(locale_build, NO_FILE + NO_FICHIER, NO_FILE + translation)
    assert _run_check(locale_build, monkeypatch) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("fr: other placeholders than 'there is no file {name}'")


def test_the_check_lists_missing_translations_without_failing(locale_build, monkeypatch, capsys) -> None:
    before = _run_check(locale_build, monkeypatch)
    listed = _listed(capsys.readouterr().out)
    _change(locale_build, NO_FILE + NO_FICHIER, NO_FILE + '""')
    assert (before, _run_check(locale_build, monkeypatch)) == (0, 0)
    out = capsys.readouterr().out
    assert f"fr: {len(listed['fr']) + 1} untranslated, shown in English:\n" in out
    expected = {**listed, "fr": listed["fr"] | {"'there is no file {name}'"}}
    assert _listed(out) == expected


def test_a_fuzzy_translation_is_listed_and_preserved(locale_build, monkeypatch, capsys) -> None:
    _change(locale_build, NO_FILE + NO_FICHIER, f"#, fuzzy\n{NO_FILE}{NO_FICHIER}")
    monkeypatch.setattr(sys, "argv", ["build.py"])
    for _ in range(2):
        assert locale_build.main() == 0
        assert "'there is no file {name}'" in _listed(capsys.readouterr().out)["fr"]
    assert NO_FILE + NO_FICHIER in locale_build.catalog_file("fr").read_text("utf-8")


def test_the_check_fails_for_a_catalog_that_is_out_of_date(locale_build, monkeypatch, capsys) -> None:
    _change(locale_build, 'msgid "there is no file {name}"', 'msgid "there is no such file {name}"')
    assert _run_check(locale_build, monkeypatch) == 1
    assert "docsend.po is out of date: run make docs" in capsys.readouterr().err


def _listed(out: str) -> dict[str, set[str]]:
    """Return the texts that were listed as not translated, by language."""
    listed: dict[str, set[str]] = {language: set() for language in TRANSLATED}
    texts: set[str] = set()
    for line in out.splitlines():
        if line.startswith("  "):
            texts.add(line.strip())
        else:
            texts = listed[line.partition(":")[0]]
    return listed


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_text_without_a_translation_is_shown_in_english(language) -> None:
    render = Translator(language).render
    assert render(Message("never translated: {count:d} of {name}", count=2, name="x")) == (
        "never translated: 2 of x"
    )
    for count, expected in ((1, "1 never"), (2, "2 nevers")):
        assert render(Message.plural("{count} never", "{count} nevers", count)) == expected


@pytest.mark.parametrize("language", TRANSLATED)
def test_compiled_catalogs_are_equivalent_to_those_of_babel(script, language) -> None:
    build = script("build")
    babels = io.BytesIO()
    write_mo(babels, build.read(language))
    file = build.catalog_file(language)
    ours = script("hatch_build").compile_catalog(file.read_text("utf-8"))
    assert _gettext_contents(ours) == _gettext_contents(babels.getvalue())
    assert file.with_suffix(".mo").read_bytes() == ours, "run make docs"


def _gettext_contents(compiled: bytes) -> dict[object, object]:
    """Return what gettext reads, without the header, to which Babel adds its version."""
    read: Any = gettext.GNUTranslations(io.BytesIO(compiled))  # _catalog is private
    return {**read._catalog, "": None, "forms": [read.plural(count) for count in range(4)]}


def test_the_compiler_reads_valid_catalogs_and_rejects_others(script) -> None:
    compiled = script("hatch_build").compile_catalog
    head = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'
    entries = (
        '# ours\n#: a.py\nmsgid ""\n"one\\n"\n"\\"two\\""\nmsgstr "un\\ndeux"\n',
        'msgid "row"\nmsgid_plural "rows"\nmsgstr[0] "rang"\nmsgstr[1] "rangs"\n',
        'msgid "none"\nmsgstr ""\n',
        'msgid "half"\nmsgid_plural "halves"\nmsgstr[0] "moitié"\nmsgstr[1] ""\n',
        '#, fuzzy\nmsgid "guess"\nmsgstr "essai"\n',
        '#~ msgid "old"\n#~ msgstr "vieux"\n',
    )
    read = gettext.GNUTranslations(io.BytesIO(compiled("\n".join((head, *entries)))))
    assert read.gettext('one\n"two"') == "un\ndeux"
    assert [read.ngettext("row", "rows", count) for count in (1, 2)] == ["rang", "rangs"]
    for text in ("none", "guess", "old"):
        assert read.gettext(text) == text
    assert [read.ngettext("half", "halves", count) for count in (1, 2)] == ["half", "halves"]
    for broken in ('msgctxt "menu"\n', '"lost"\n', "msgid bare\n"):
        with pytest.raises(ValueError, match="unexpected line in a catalog"):
            compiled(f"{head}\n{broken}")


@pytest.fixture
def untranslatable(monkeypatch) -> list[str]:
    """Collect every rendered sentence that is not a Message or LocalizedName and so cannot be translated."""
    sentences: list[str] = []
    render = Translator.render

    def recording_render(self, text, **options: Any):
        if not isinstance(text, Message | LocalizedName) and re.search(
            r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", text
        ):
            sentences.append(text)
        return render(self, text, **options)

    monkeypatch.setattr(Translator, "render", recording_render)
    return sentences


def test_every_message_about_bad_input_and_bad_manifests_can_be_translated(untranslatable) -> None:
    for case in bad_input.CASES:
        bad_input.run_case(case)
    for manifest in bad_manifests.CASES:
        bad_manifests.observe(manifest)
    assert [text for text in untranslatable if "docsend required upload" not in text] == []


def test_every_text_of_common_commands_can_be_translated(run, sandbox, payslip, untranslatable) -> None:
    for argv in (
        ("receipts",),
        ("senders",),
        ("senders", "add", "client", "--id", PERSON),
        ("senders",),
        ("send", payslip, *SEND, "-n"),
        ("send", payslip, *SEND),
        ("send", payslip, *SEND),
        ("receipts",),
        ("receipts", "resume"),
        ("required",),
        ("catalog", "nothing", "of", "this", "kind"),
        ("catalog", "--update"),
        ("doctor",),
        ("login", "--status"),
        ("send", "--nonsense"),
        ("nonsense",),
        ("sandbox", "--port", "x"),
    ):
        run(*argv, "-v", "--service", sandbox.url)
    # The issuer is a text of the service.
    assert set(untranslatable) == {"docsend sandbox (not the institute)"}


@pytest.mark.parametrize("language", TRANSLATED)
def test_json_is_the_same_in_every_language(run, sandbox, payslip, tmp_path, language) -> None:
    broken = samples.write(tmp_path, "broken.pdf", b"no PDF")
    for argv in (
        ("send", "nowhere.pdf", *SEND),
        ("send", broken, *SEND, "--remark", "x" * 2000),
        ("send", payslip, "--no-input"),
        ("send", payslip, *SEND, "--dry-run"),
        ("catalog", "1514"),
        ("send", "--nonsense"),
        ("doctor",),
    ):
        english = run(*argv, "--json", "--lang", "en")
        translated = run(*argv, "--json", "--lang", language)
        assert translated.code == english.code
        if argv != ("doctor",):  # Its milliseconds differ.
            assert translated.out == english.out
        assert not HEBREW.search(re.sub(r'"labels": {[^}]*}', "", translated.out))


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_help_is_translated_except_for_missing_translations(run, command, untranslated) -> None:
    outcomes = {language: run(*command, "--help", "--lang", language) for language in i18n.LANGUAGES}
    assert {outcome.code for outcome in outcomes.values()} == {0}
    for one, other in itertools.combinations(outcomes.values(), 2):
        same = {line.strip() for line in one.out.splitlines()} & {
            line.strip() for line in other.out.splitlines()
        }
        prose = [line for line in same if re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{2,}", line)]
        prose = [line for line in prose if not any(line.split("  ")[-1] in text for text in untranslated)]
        assert [line for line in prose if not line.startswith(("docsend ", "--"))] == []
    assert HEBREW.search(outcomes["he"].out)
    for option in re.findall(r"^  (?:-\w, )?(--[\w-]+)", outcomes["en"].out, re.MULTILINE):
        assert option in outcomes["fr"].out
        assert option in outcomes["he"].out


@pytest.mark.parametrize(
    ("flag", "environment", "language"),
    [
        ((), {}, "en"),
        ((), {"LANG": "fr_FR.UTF-8"}, "fr"),
        ((), {"LANG": "he_IL.UTF-8"}, "he"),
        ((), {"LANG": "iw_IL"}, "he"),
        ((), {"LANG": "de_DE.UTF-8"}, "en"),
        ((), {"LANG": "frr_DE.UTF-8"}, "en"),
        ((), {"LC_MESSAGES": "fr_CA"}, "fr"),
        ((), {"LANG": "fr_FR.UTF-8", "LC_ALL": "C"}, "en"),
        ((), {"LANG": "fr_FR.UTF-8", "DOCSEND_LANG": "he"}, "he"),
        (("--lang", "fr"), {"LANG": "he_IL.UTF-8", "DOCSEND_LANG": "he"}, "fr"),
        (("--lang=fr",), {}, "fr"),
    ],
)
def test_the_flag_overrides_the_environment_and_the_environment_overrides_the_locale(
    run, monkeypatch, flag, environment, language
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    # In messages, in help, and in errors of the command line itself.
    words = {
        "en": ("there is no file", "check documents", "no such option"),
        "fr": ("fichier", "vérifier des documents", "option"),
        "he": ("קובץ", "שימוש", "אפשרות"),
    }[language]
    outputs = (
        run("send", "nowhere.pdf", *SEND, *flag).err,
        run("send", "--help", *flag).out,
        run("send", "--x", *flag).err,
    )
    for text, word in zip(outputs, words, strict=True):
        assert word in text.lower() or word in text, text


def test_an_unknown_language_is_a_usage_error_in_english(run) -> None:
    outcome = run("receipts", "--lang", "tlh")
    assert (outcome.code, "unsupported language: 'tlh'" in outcome.err) == (2, True)


def test_hebrew_isolates_names_and_numbers_on_a_terminal_but_not_in_files(run, sandbox, tmp_path) -> None:
    file = samples.write(tmp_path, "שכר 2026.pdf", b"")
    terminal = Terminal("send", file, *SEND, "--service", sandbox.url, "--lang", "he")
    assert terminal.finish() == 3
    assert f"{FSI}שכר 2026.pdf{PDI}" in terminal.raw
    assert terminal.raw.count(LRI) + terminal.raw.count(FSI) == terminal.raw.count(PDI)
    plain = run("send", file, *SEND, "--service", sandbox.url, "--lang", "he")
    assert "שכר 2026.pdf" in plain.err
    assert not [mark for mark in (LRI, FSI, PDI) if mark in plain.err + plain.out]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_left_to_right_languages_need_no_isolates(sandbox, payslip, language) -> None:
    terminal = Terminal("send", payslip, *SEND, "--service", sandbox.url, "--lang", language)
    assert terminal.finish() == 0
    assert not [mark for mark in (LRI, FSI, PDI) if mark in terminal.raw]


def test_french_groups_digits_and_names_units_like_the_institute(run, sandbox, tmp_path) -> None:
    file = samples.write(tmp_path, "scan.pdf", samples.pdf(1, size=48_000))
    sent = run("send", file, *SEND, "--service", sandbox.url, "--lang", "fr")
    assert "48\u202f000 octets" in sent.out
    large = samples.write(tmp_path, "large.pdf", samples.pdf(2, size=11 * 2**20))
    assert "10\u00a0Mo" in run("send", large, *SEND, "--lang", "fr").err.replace("10 Mo", "10\u00a0Mo")


def test_plurals_and_numbers_follow_each_language() -> None:
    counted = Message.plural("1 row: {outcomes}", "{count:,} rows: {outcomes}", 0, outcomes="x")
    assert Translator("fr").render(counted) == "0 ligne\u00a0: x"  # French uses the singular for 0 and 1.
    assert Translator("en").render(counted) == "0 rows: x"
    pause = Message("the keyring responded in {seconds:.1f} s", seconds=1.5)
    assert "1,5" in Translator("fr").render(pause)
    assert "1.5" in Translator("he").render(pause)


def test_labels_are_shown_in_the_selected_language(run) -> None:
    outputs = {
        language: run("catalog", "unemployment", "--lang", language).out for language in i18n.LANGUAGES
    }
    assert "Unemployment" in outputs["en"]
    assert "Chômage" in outputs["fr"]
    assert "אבטלה" in outputs["he"]


def test_a_value_is_never_interpreted_as_a_template_or_translated(run, tmp_path) -> None:
    for name in ("{name}.pdf", "there is no file {name}", "%s{0}.pdf", "{name!r:>99999999}.pdf"):
        for language in i18n.LANGUAGES:
            outcome = run("send", tmp_path / name, *SEND, "--lang", language)
            assert (outcome.code, name in outcome.err) == (3, True), outcome.err


def test_a_message_cannot_be_converted_to_a_string() -> None:
    message = Message("{count:,} rows of {name}", count=1234, name="x")
    assert Translator("en").render(message) == "1,234 rows of x"
    assert message == Message("{count:,} rows of {name}", count=1234, name="x")
    assert message != "1,234 rows of x"
    assert {message, Message("other")} == {Message("other"), message}
    for value in (message, LocalizedName({"en": "Haifa", "fr": "Haïfa"})):
        for convert in (str, format, "{}".format):
            with pytest.raises(TypeError, match="Translator"):
                convert(value)
        with pytest.raises(AttributeError):
            value.template = "another"
    with pytest.raises(TypeError):
        message.values["name"] = "y"  # type: ignore[index]


def test_a_message_can_be_pickled() -> None:
    inner = Message.plural("1 row", "{count} rows", 2)
    for message in (
        inner,
        Message("{inner}, {name}", inner=inner, name=LocalizedName({"en": "Haifa", "fr": "Haïfa"})),
    ):
        assert pickle.loads(pickle.dumps(message)) == message  # noqa: S301 - pickled by this test


# Messages that were once shown in English within French output.


def test_a_sandbox_that_cannot_start_says_so_in_french(run, sandbox, tmp_path) -> None:
    port = sandbox.url.rpartition(":")[2]
    taken = run("sandbox", "--port", port, "--data", tmp_path / "other", "--lang", "fr")
    assert f"impossible d'écouter sur le port {port}" in taken.err
    assert "indiquez --port 0" in taken.err


def test_a_malformed_catalog_is_described_in_french(run, payslip) -> None:
    with doubles.service(lambda _: doubles.Reply(body=b"{}", headers={"ETag": '"1"'})) as (url, _):
        fetched = run("catalog", "--update", "--service", url, "--lang", "fr")
    assert "son «\u00a0schema\u00a0» manque" in fetched.err
    long = catalog.BUNDLED.read_bytes().replace(b'"fr": "', b'"fr": "' + b"e" * 500)
    with doubles.service(lambda _: doubles.Reply(body=long, headers={"ETag": '"2"'})) as (url, _):
        fetched = run("catalog", "--update", "--service", url, "--lang", "fr")
    assert "un de ses textes a plus de 500 caractères" in fetched.err


def test_errors_of_the_system_are_described_in_french(run, home, payslip, tmp_path) -> None:
    missing = run("send", "--batch", tmp_path / "none.csv", "--dry-run", "--lang", "fr")
    assert "aucun fichier ni dossier de ce nom" in missing.err
    (home / "docsend").mkdir()
    ledger = home / "docsend" / "ledger.sqlite3"
    ledger.write_bytes(b"no database at all, but a text of some length" * 20)
    damaged = run("receipts", "--lang", "fr")
    assert (damaged.code, "le fichier n'est pas une base de données" in damaged.err) == (8, True), damaged.err
    (home / "docsend" / "config.toml").mkdir()
    folder = run("receipts", "--lang", "fr")
    assert (folder.code, "c'est un dossier" in folder.err) == (2, True), folder.err


def test_failed_rows_of_a_batch_are_described_in_french(run, payslip, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    row = "benefits,unemployment,employer,payslips,000000018,payslip.pdf\n"
    manifest = tmp_path / "rows.csv"
    manifest.write_text(f"to,subject,category,type,id,documents\n{row}")
    with doubles.service(lambda _: doubles.Reply(503)) as (url, _):
        ended = run("send", "--batch", manifest, "--service", url, "--lang", "fr")
    assert ended.code == 7
    assert "ligne 2\u00a0: inachevé\u00a0: le service a répondu 503" in ended.err.replace(" :", "\u00a0:")


def test_a_batch_that_waits_for_a_service_says_so_in_french(run, payslip, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")
    answers = iter([503])
    with doubles.service(lambda _: doubles.Reply(next(answers, 400), headers={"Retry-After": "4"})) as (
        url,
        _,
    ):
        row = "benefits,unemployment,employer,payslips,000000018,payslip.pdf\n"
        manifest = tmp_path / "rows.csv"
        manifest.write_text(f"to,subject,category,type,id,documents\n{row}")
        waited = run("send", "--batch", manifest, "--service", url, "--lang", "fr")
    assert "le service a répondu 503" in waited.err
    assert "nouvel essai dans 4 s" in waited.err
    assert "the service" not in waited.err


def test_the_state_of_a_submission_is_named_in_french(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.service(lambda _: doubles.Reply(503)) as (url, _):
        key = run("send", payslip, *SEND, "--service", url, "--json").json["key"]
    assert "l'état de l'envoi est en cours d'envoi" in run(
        "receipts", "export", key, "--lang", "fr"
    ).err.replace("\u00a0", " ")
