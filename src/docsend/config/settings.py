"""What the user asked for and where things are: flag > environment > config.toml > default, resolved once.

The only reader of the environment, of platformdirs and of the configuration file.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from docsend import i18n
from docsend.config import address
from docsend.config.address import SANDBOX, ConfiguredService, Endpoint
from docsend.errors import UsageFault
from docsend.i18n import ENGLISH, Message
from docsend.storage import files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docsend.config.senders import Sender
    from docsend.i18n import Language

MOST_BYTES = 2**20  # of config.toml
DEFAULT_PATIENCE_S = 300.0
_ENGLISH: Language = "en"
_Read = TypeVar("_Read")


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Settings(NamedTuple):
    """Everything about this run that is not the submission itself."""

    endpoint: Endpoint | None
    language: Language
    data: Path
    config_file: Path
    patience_s: float
    as_json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_input: bool = False
    has_dumb_terminal: bool = False
    code: str | None = None
    password_file: Path | None = None
    keyring_backend: str | None = None
    services: Mapping[str, ConfiguredService] = _NOTHING
    senders: Mapping[str, Sender] = _NOTHING
    service_flag: str | None = None
    faults: Mapping[str, UsageFault] = _NOTHING

    def __repr__(self) -> str:
        """Say where they stand, and neither code nor senders."""
        return f"Settings(config_file={str(self.config_file)!r})"

    @property
    def ledger_file(self) -> Path:
        return self.data / "ledger.sqlite3"

    @property
    def catalogs(self) -> Path:
        """The folder of the catalogs that services gave out."""
        return self.data / "catalogs"

    @property
    def catalog_file(self) -> Path | None:
        """The place of the chosen service's own catalog; None if no service is chosen."""
        return None if self.endpoint is None else self.catalog_file_of(self.endpoint)

    def catalog_file_of(self, endpoint: Endpoint) -> Path:
        """Return the place of a service's own catalog."""
        import hashlib

        name = hashlib.sha256(endpoint.name.encode()).hexdigest()[:16]
        return self.catalogs / f"{name}.json"

    @property
    def sandbox_data(self) -> Path:
        return self.data / SANDBOX

    def at(self, service: str) -> Settings:
        """Give these settings with the service that the ledger knows by this name."""
        return self._replace(endpoint=address.endpoint(service, self.services, os.environ))

    def chosen_endpoint(self) -> Endpoint:
        """Give the service to send to; raise UsageFault if none was chosen."""
        if self.endpoint is None:
            raise UsageFault(
                Message("no service is chosen"),
                Message(
                    "the institute publishes no programming interface, so docsend has no default: "
                    "try it with `--service sandbox`, or name an address with --service, DOCSEND_SERVICE or "
                    "default_service in {config_file}",
                    config_file=self.config_file,
                ),
            )
        return self.endpoint


def language_of(flag: str | None) -> Language:
    """Choose the language of this run; raise UsageFault if it is none of those known."""
    return _language(flag, os.environ)


def resolve(
    *,
    service: str | None = None,
    language: str | None = None,
    as_json: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    no_input: bool = False,
    environment: Mapping[str, str] | None = None,
    is_examined: bool = False,
) -> Settings:
    """Put flags, environment and configuration together; raise UsageFault for what cannot be understood.

    If they are to be examined, what cannot be understood is as if nobody had said it, and its fault is kept:
    under "configuration" (of config.toml), "environment" or "service" (its address, or its proxy's).
    """
    environment = os.environ if environment is None else environment
    config_folder, data = _folders(environment)
    config_file = config_folder / "config.toml"
    faults: dict[str, UsageFault] = {}

    def understood(part: str, read: Callable[[], _Read], otherwise: _Read) -> _Read:
        try:
            return read()
        except UsageFault as fault:
            if not is_examined:
                raise
            faults.setdefault(part, fault)
            return otherwise

    config = understood("configuration", lambda: _Config.read(config_file), _Config(_NOTHING))
    chosen = environment.get("DOCSEND_SERVICE") or config.default_service if service is None else service
    if "configuration" in faults and chosen != SANDBOX and "://" not in (chosen or ""):
        chosen = None  # nobody knows what this name stands for
    return Settings(
        endpoint=understood(
            "service",
            lambda: None if chosen is None else address.endpoint(chosen, config.services, environment),
            None,
        ),
        language=understood("environment", lambda: _language(language, environment), _ENGLISH),
        data=data,
        config_file=config_file,
        patience_s=understood(
            "environment",
            lambda: _seconds(environment.get("DOCSEND_PATIENCE") or None, config.patience),
            DEFAULT_PATIENCE_S,
        ),
        as_json=as_json,
        quiet=quiet,
        verbose=verbose,
        no_input=no_input or bool(environment.get("DOCSEND_NO_INPUT")),
        has_dumb_terminal=environment.get("TERM", "dumb" if os.name == "posix" else "")
        in ("dumb", "unknown"),
        code=understood(
            "environment", lambda: _writable(environment.get("DOCSEND_CODE") or None, "DOCSEND_CODE"), None
        ),
        password_file=_path(environment.get("DOCSEND_PASSWORD_FILE")),
        keyring_backend=environment.get("DOCSEND_KEYRING") or None,
        services=config.services,
        senders=config.senders,
        service_flag=service,
        faults=faults,
    )


def _folders(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """Give the folders of the configuration and of the data; DOCSEND_HOME puts both into one."""
    if home := environment.get("DOCSEND_HOME"):
        return Path(home), Path(home)
    import platformdirs

    own = platformdirs.PlatformDirs("docsend", appauthor=False)
    return own.user_config_path, own.user_data_path


class _Fault(Exception):
    """The configuration holds what it may not."""

    def __init__(self, message: Message) -> None:
        super().__init__(ENGLISH.render(message))
        self.message = message


def unreadable(file: Path, error: OSError) -> UsageFault:
    """Return the error for a configuration that cannot be read; nothing of what stands in it is in it."""
    message = Message("{file} cannot be read: {reason}", file=file, reason=files.reason(error))
    return UsageFault(message, files.cure(file, error))


class _Config(NamedTuple):
    """config.toml, read into types once."""

    services: Mapping[str, ConfiguredService]
    default_service: str | None = None
    patience: float | None = None
    senders: Mapping[str, Sender] = _NOTHING

    @classmethod
    def read(cls, file: Path) -> _Config:
        try:
            text = files.read_small(file, most=MOST_BYTES).decode("utf-8-sig")
        except (FileNotFoundError, NotADirectoryError):  # a folder that is a file, the ledger will tell of
            return cls({})
        except (OSError, UnicodeDecodeError) as error:
            if isinstance(error, OSError):
                raise unreadable(file, error) from error
            raise UsageFault(
                Message("{file} cannot be read: {reason}", file=file, reason=Message("it is not UTF-8")),
                Message("save it as UTF-8"),
            ) from error
        import tomllib

        try:
            return cls._from(tomllib.loads(text), file.parent)
        except RecursionError as error:
            raise UsageFault(
                Message("{file} is nested too deeply", file=file), Message("see docs/configuration.md")
            ) from error
        except _Fault as fault:
            raise UsageFault(
                Message("{file}: {error}", file=file, error=fault.message),
                Message("see docs/configuration.md for what it may hold"),
            ) from fault
        except ValueError as error:
            is_syntax = isinstance(error, tomllib.TOMLDecodeError)
            why = Message.verbatim(_masked(str(error))) if is_syntax else Message("a number is too long")
            raise UsageFault(
                Message("{file}: {error}", file=file, error=why),
                Message("see docs/configuration.md for what it may hold"),
            ) from error

    @classmethod
    def _from(cls, raw: dict[str, Any], folder: Path) -> _Config:
        _no_strays(raw, {"services", "default_service", "patience", "senders"}, Message("the file"))
        services = {name: _service(name, table, folder) for name, table in _table(raw, "services").items()}
        default, patience = raw.get("default_service"), raw.get("patience")
        if not isinstance(default, str | None):
            raise _Fault(Message("default_service is the name of a service, a text"))
        if patience is not None and not (_is_number(patience) and _is_patience(patience)):
            raise _Fault(Message("patience is a number of seconds, from 0 up to a week"))
        return cls(services, default, patience, _senders(raw))


def _service(name: str, table: object, folder: Path) -> ConfiguredService:
    """Read one service; a `ca_file` without a full path lies beside config.toml."""
    if not isinstance(table, dict) or not isinstance(table.get("url"), str):
        raise _Fault(Message("[services.{name}] needs a url", name=_masked(name)))
    where = f"[services.{_masked(name)}]"
    _no_strays(table, {"url", "ca_file"}, where)
    if name == SANDBOX:
        raise _Fault(Message("[services.{name}]: this name is the sandbox's, choose another", name=name))
    ca_file = table.get("ca_file")
    if not isinstance(ca_file, str | None):
        raise _Fault(Message("{where}: {key} is a text, in quotation marks", where=where, key="ca_file"))
    return ConfiguredService(table["url"], None if ca_file is None else folder / Path(ca_file).expanduser())


def _senders(raw: dict[str, Any]) -> dict[str, Sender]:
    tables = _table(raw, "senders")
    if not tables:
        return {}
    from docsend.config import senders

    known: dict[str, Sender] = {}
    for name, table in tables.items():
        where = f"[senders.{_masked(name)}]"
        if not isinstance(table, dict):
            raise _Fault(Message("{name} is a table: [{name}.NAME]", name="senders"))
        if "booklet" in table:
            raise _Fault(
                Message(
                    "{where}: a booklet number works as a password, `docsend senders add` puts it into the "
                    "keyring",
                    where=where,
                )
            )
        _no_strays(table, set(senders.KEYS), where)
        for key, value in table.items():
            if key == "booklet_kept" and not isinstance(value, bool):
                message = Message("{where}: {key} is true or false, without quotation marks")
                raise _Fault(message.with_values(where=where, key=key))
            if key != "booklet_kept" and not isinstance(value, str):
                raise _Fault(Message("{where}: {key} is a text, in quotation marks", where=where, key=key))
        if ("id" in table) == ("employer_file" in table):
            raise _Fault(Message("{where} needs id or employer_file, and not both", where=where))
        known[name] = senders.of_members(table)
    return known


def _table(raw: dict[str, Any], name: str) -> dict[str, Any]:
    table = raw.get(name, {})
    if not isinstance(table, dict):
        raise _Fault(Message("{name} is a table: [{name}.NAME]", name=name))
    return table


def _no_strays(table: Mapping[str, Any], known: set[str], where: Message | str) -> None:
    for name in table:
        if name not in known:
            from docsend.model.search import nearest

            close = nearest(name.replace("_", "-"), [key.replace("_", "-") for key in known])
            if close:
                meant = close.replace("-", "_")
                raise _Fault(
                    Message(
                        "unknown key {name!r} in {where}, did you mean {meant}?",
                        name=_masked(name),
                        where=where,
                        meant=meant,
                    )
                )
            raise _Fault(Message("unknown key {name!r} in {where}", name=_masked(name), where=where))


def _masked(text: str) -> str:
    """Give what somebody wrote somewhere, for an error: it may be a number in a wrong place."""
    from docsend.model.submission import without_numbers

    return without_numbers(text)


def _writable(stated: str | None, name: str) -> str | None:
    try:
        (stated or "").encode()
    except UnicodeEncodeError:
        raise UsageFault(Message("{name} is not UTF-8", name=name), Message("write it anew")) from None
    return stated


def _path(stated: str | None) -> Path | None:
    return Path(stated) if stated else None


def _seconds(stated: str | None, configured: float | None) -> float:
    if stated is None:
        return DEFAULT_PATIENCE_S if configured is None else configured
    try:
        seconds = float(stated)
    except ValueError:
        seconds = -1
    if not _is_patience(seconds):
        raise UsageFault(
            Message("DOCSEND_PATIENCE is {stated!r}, not a number of seconds", stated=stated),
            Message("say how many, as in 300; at most a week"),
        )
    return seconds


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_patience(seconds: float) -> bool:
    """Tell whether somebody can wait so long; nobody can for `nan` and `inf`."""
    return 0 <= seconds <= 7 * 24 * 3600


def _language(flag: str | None, environment: Mapping[str, str]) -> Language:
    try:
        return i18n.spoken(flag, environment)
    except ValueError as error:
        asked = error.args[0]
        raise UsageFault(
            Message("there is no language {asked!r} here", asked=asked),
            Message("one of: {choices}", choices=", ".join(i18n.LANGUAGES)),
        ) from None
