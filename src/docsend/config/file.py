"""Reading and writing config.toml. No other module reads or writes it."""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.config.address import SANDBOX, ConfiguredService
from docsend.errors import LocalError, UsageError
from docsend.i18n import ENGLISH, Message
from docsend.storage import files
from docsend.text import redact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.config.senders import Sender

MAX_BYTES = 2**20
EMPTY: Mapping[str, Any] = MappingProxyType({})


class _InvalidConfig(Exception):
    """Raised when config.toml contains an invalid setting."""

    def __init__(self, message: Message) -> None:
        super().__init__(ENGLISH.render(message))
        self.message = message


def unreadable_error(file: Path, error: OSError) -> UsageError:
    """Return the error for a config.toml that cannot be read."""
    message = Message("{file} cannot be read: {reason}", file=file, reason=files.reason(error))
    return UsageError(message, files.hint(file, error))


class ConfigFile(NamedTuple):
    """Validated content of config.toml. `patience` is in seconds."""

    services: Mapping[str, ConfiguredService]
    default_service: str | None = None
    patience: float | None = None
    senders: Mapping[str, Sender] = EMPTY

    @classmethod
    def read(cls, file: Path) -> ConfigFile:
        """Return the validated content of a file. A missing file is an empty configuration.

        Raise UsageError if the file cannot be read, or contains a syntax error or an invalid setting.
        """
        try:
            text = files.read_limited(file, max_bytes=MAX_BYTES).decode("utf-8-sig")
        except (FileNotFoundError, NotADirectoryError):
            # NotADirectoryError: the folder is a file. Opening the ledger reports that.
            return cls({})
        except (OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError):
                raise unreadable_error(file, error) from error
            raise UsageError(
                Message("{file} cannot be read: {reason}", file=file, reason=Message("it is not UTF-8")),
                Message("save it as UTF-8"),
            ) from error
        import tomllib

        try:
            return cls._from_toml(tomllib.loads(text), file.parent)
        except RecursionError as error:
            raise UsageError(
                Message("{file} is nested too deeply", file=file), Message("see docs/configuration.md")
            ) from error
        except _InvalidConfig as error:
            raise UsageError(
                Message("{file}: {error}", file=file, error=error.message),
                Message("see docs/configuration.md for the valid settings"),
            ) from error
        except ValueError as error:
            is_syntax = isinstance(error, tomllib.TOMLDecodeError)
            why = Message.verbatim(redact(str(error))) if is_syntax else Message("a number is too long")
            raise UsageError(
                Message("{file}: {error}", file=file, error=why),
                Message("see docs/configuration.md for the valid settings"),
            ) from error

    @classmethod
    def _from_toml(cls, raw: dict[str, Any], folder: Path) -> ConfigFile:
        _reject_unknown_keys(raw, {"services", "default_service", "patience", "senders"}, Message("the file"))
        services = {name: _service(name, table, folder) for name, table in _table(raw, "services").items()}
        default, patience = raw.get("default_service"), raw.get("patience")
        if not isinstance(default, str | None):
            raise _InvalidConfig(Message("default_service must be the name of a service, in quotation marks"))
        if patience is not None and not (_is_number(patience) and is_valid_patience(patience)):
            raise _InvalidConfig(Message("patience must be a number of seconds from 0 to 604800 (one week)"))
        return cls(services, default, patience, _senders(raw))


def _service(name: str, table: object, folder: Path) -> ConfiguredService:
    """Return the service that a table describes. `folder` is the base of a relative `ca_file`."""
    if not isinstance(table, dict) or not isinstance(table.get("url"), str):
        raise _InvalidConfig(
            Message(
                '[services.{name}] needs the line url = "https://...", with quotation marks',
                name=redact(name),
            )
        )
    where = f"[services.{redact(name)}]"
    _reject_unknown_keys(table, {"url", "ca_file"}, where)
    if name == SANDBOX:
        raise _InvalidConfig(
            Message("[services.{name}]: this name is reserved for the sandbox; choose another", name=name)
        )
    ca_file = table.get("ca_file")
    if not isinstance(ca_file, str | None):
        raise _InvalidConfig(
            Message("{where}: {key} must be a string in quotation marks", where=where, key="ca_file")
        )
    return ConfiguredService(table["url"], None if ca_file is None else folder / Path(ca_file).expanduser())


def _senders(raw: dict[str, Any]) -> dict[str, Sender]:
    tables = _table(raw, "senders")
    if not tables:
        return {}
    from docsend.config import senders

    result: dict[str, Sender] = {}
    for name, table in tables.items():
        where = f"[senders.{redact(name)}]"
        if not isinstance(table, dict):
            raise _InvalidConfig(
                Message("{name} must consist of tables such as [{name}.NAME]", name="senders")
            )
        if "booklet" in table:
            raise _InvalidConfig(
                Message(
                    "{where}: a booklet number works as a password and must not be in this file; `docsend "
                    "senders add` stores it in the keyring",
                    where=where,
                )
            )
        _reject_unknown_keys(table, set(senders.KEYS), where)
        for key, value in table.items():
            if key == "booklet_kept" and not isinstance(value, bool):
                message = Message("{where}: {key} must be true or false, without quotation marks")
                raise _InvalidConfig(message.with_values(where=where, key=key))
            if key != "booklet_kept" and not isinstance(value, str):
                raise _InvalidConfig(
                    Message("{where}: {key} must be a string in quotation marks", where=where, key=key)
                )
        if ("id" in table) == ("employer_file" in table):
            raise _InvalidConfig(Message("{where} needs either id or employer_file, not both", where=where))
        result[name] = senders.from_table(table)
    return result


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        raise _InvalidConfig(Message("{name} must consist of tables such as [{name}.NAME]", name=name))
    return table


def _reject_unknown_keys(table: Mapping[str, Any], known: set[str], where: Message | str) -> None:
    for name in table:
        if name not in known:
            from docsend.model.search import nearest

            close = nearest(name.replace("_", "-"), [key.replace("_", "-") for key in known])
            if close:
                meant = close.replace("-", "_")
                raise _InvalidConfig(
                    Message(
                        "unknown key {name!r} in {where}; did you mean {meant}?",
                        name=redact(name),
                        where=where,
                        meant=meant,
                    )
                )
            raise _InvalidConfig(Message("unknown key {name!r} in {where}", name=redact(name), where=where))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_valid_patience(seconds: float) -> bool:
    """Return whether a number of seconds is between 0 and one week. Return False for `nan` and `inf`."""
    return 0 <= seconds <= 7 * 24 * 3600


# -- writing ----------------------------------------------------------------------------------------------


def write_sender(config_file: Path, name: str, sender: Sender | None) -> None:
    """Write a sender to config.toml, or remove the sender with this name if `sender` is None.

    Everything else stays unchanged. Comments stay, except those inside a removed table. Afterwards only the
    owner can read the file. Raise LocalError if the file cannot be written, and UsageError if its senders are
    written in a form that docsend cannot edit.
    """
    # If config.toml is a symbolic link, the file that it points to is replaced, not the link.
    file = Path(os.path.realpath(config_file))
    try:
        files.make_private_folder(config_file.parent)
        with files.lock(config_file.with_name(f".{config_file.name}.lock")):
            text = files.read_limited(file, max_bytes=MAX_BYTES).decode("utf-8-sig") if file.exists() else ""
            files.replace_file(file, _edit(text, name, sender, config_file).encode("utf-8"))
    except OSError as error:
        raise LocalError(
            Message("{file} cannot be written: {reason}", file=config_file, reason=files.reason(error)),
            files.hint(config_file, error),
        ) from error


def _edit(text: str, name: str, sender: Sender | None, config_file: Path) -> str:
    """Return the edited text of config.toml.

    Raise UsageError unless the edited text parses to exactly the intended content.
    """
    import tomllib

    import tomlkit

    expected = tomllib.loads(text)
    members = dict(sender.as_table()) if sender else {}
    changed, is_expected = "", False
    expected.setdefault("senders", {}).pop(name, None)
    if sender:
        expected["senders"][name] = members
    try:
        document = tomlkit.parse(text)
        tables: Any = document.setdefault("senders", tomlkit.table(is_super_table=True))
        if sender is None:
            del tables[name]
        else:
            table = tables.setdefault(name, tomlkit.table())
            for key in [key for key in table if key not in members]:
                del table[key]
            table.update(members)
        if not expected["senders"]:
            del document["senders"], expected["senders"]
        changed = tomlkit.dumps(document)
        is_expected = tomllib.loads(changed) == expected
    except (ValueError, TypeError, AttributeError, KeyError):
        pass  # the errors of tomlkit are ValueErrors
    if not is_expected:
        raise UsageError(
            Message("docsend cannot edit the senders in {file}", file=config_file),
            Message("write each sender as a separate table, [senders.NAME], after all other settings"),
        )
    return changed
