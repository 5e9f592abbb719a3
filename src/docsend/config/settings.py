"""Settings and paths of a run, resolved once: option > environment > config.toml > default.

Only this module uses platformdirs, and only this module reads the environment. There is one exception:
`cli.app` reads the language for help texts and for errors that occur before there are settings. `config.file`
reads config.toml.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from docsend import i18n
from docsend.config import address
from docsend.config.address import SANDBOX, ConfiguredService, Endpoint
from docsend.config.file import EMPTY, ConfigFile, is_valid_patience
from docsend.errors import UsageError
from docsend.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docsend.config.senders import Sender
    from docsend.i18n import Language

DEFAULT_PATIENCE_S = 300.0
_ENGLISH: Language = "en"
_Read = TypeVar("_Read")


class Settings(NamedTuple):
    """Settings of one run: everything except the submission itself.

    `errors` contains the errors that `resolve` tolerated, by the keys that `resolve` describes.
    `service_flag` is the value of --service.
    """

    endpoint: Endpoint | None
    language: Language
    data_folder: Path
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
    services: Mapping[str, ConfiguredService] = EMPTY
    senders: Mapping[str, Sender] = EMPTY
    service_flag: str | None = None
    errors: Mapping[str, UsageError] = EMPTY
    environment: Mapping[str, str] = EMPTY

    def __repr__(self) -> str:
        """Return a representation without the account's code and the senders."""
        return f"Settings(config_file={str(self.config_file)!r})"

    @property
    def ledger_file(self) -> Path:
        return self.data_folder / "ledger.sqlite3"

    @property
    def catalogs_folder(self) -> Path:
        """Folder of the catalogs downloaded from services."""
        return self.data_folder / "catalogs"

    @property
    def catalog_file(self) -> Path | None:
        """Path of the catalog of the chosen service, or None if no service is chosen."""
        return None if self.endpoint is None else self.catalog_file_for(self.endpoint)

    def catalog_file_for(self, endpoint: Endpoint) -> Path:
        """Return the path of the catalog of a service, whether or not the file exists."""
        import hashlib

        name = hashlib.sha256(endpoint.name.encode()).hexdigest()[:16]
        return self.catalogs_folder / f"{name}.json"

    @property
    def sandbox_folder(self) -> Path:
        return self.data_folder / SANDBOX

    def for_service(self, service: str) -> Settings:
        """Return the settings with another service. Raise UsageError if its name or address is invalid."""
        return self._replace(endpoint=address.resolve_endpoint(service, self.services, self.environment))

    def chosen_endpoint(self) -> Endpoint:
        """Return the chosen service. Raise UsageError if there is none."""
        if self.endpoint is None:
            raise UsageError(
                Message("no service is chosen"),
                Message(
                    "the institute publishes no programming interface, so docsend has no default service: "
                    "give `--service sandbox` to try docsend, or set an address with --service, "
                    "DOCSEND_SERVICE or default_service in {config_file}",
                    config_file=self.config_file,
                ),
            )
        return self.endpoint


def language_of(flag: str | None) -> Language:
    """Return the language from --lang or the environment. Raise UsageError if it is not supported."""
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
    tolerate_errors: bool = False,
) -> Settings:
    """Return the settings from options, environment and config.toml. Raise UsageError if one is invalid.

    With `tolerate_errors`, an invalid setting is replaced by its default, and `Settings.errors` contains the
    first error of each part: "configuration" (config.toml), "environment", or "service" (the address of the
    service or of the proxy).
    """
    environment = os.environ if environment is None else environment
    config_folder, data = _folders(environment)
    config_file = config_folder / "config.toml"
    errors: dict[str, UsageError] = {}

    def read_or_default(part: str, read: Callable[[], _Read], default: _Read) -> _Read:
        try:
            return read()
        except UsageError as error:
            if not tolerate_errors:
                raise
            errors.setdefault(part, error)
            return default

    config = read_or_default("configuration", lambda: ConfigFile.read(config_file), ConfigFile(EMPTY))
    chosen = environment.get("DOCSEND_SERVICE") or config.default_service if service is None else service
    if "configuration" in errors and chosen != SANDBOX and "://" not in (chosen or ""):
        chosen = None  # without config.toml, a service name cannot be resolved
    return Settings(
        endpoint=read_or_default(
            "service",
            lambda: (
                None if chosen is None else address.resolve_endpoint(chosen, config.services, environment)
            ),
            None,
        ),
        language=read_or_default("environment", lambda: _language(language, environment), _ENGLISH),
        data_folder=data,
        config_file=config_file,
        patience_s=read_or_default(
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
        code=read_or_default(
            "environment",
            lambda: _require_utf8(environment.get("DOCSEND_CODE") or None, "DOCSEND_CODE"),
            None,
        ),
        password_file=_path(environment.get("DOCSEND_PASSWORD_FILE")),
        keyring_backend=environment.get("DOCSEND_KEYRING") or None,
        services=config.services,
        senders=config.senders,
        service_flag=service,
        errors=errors,
        environment=environment,
    )


def _folders(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """Return the configuration folder and the data folder. DOCSEND_HOME, if set, is both."""
    if home := environment.get("DOCSEND_HOME"):
        return Path(home), Path(home)
    import platformdirs

    own = platformdirs.PlatformDirs("docsend", appauthor=False)
    return own.user_config_path, own.user_data_path


def _require_utf8(given: str | None, name: str) -> str | None:
    try:
        (given or "").encode()
    except UnicodeEncodeError:
        raise UsageError(
            Message("{name} is not UTF-8", name=name), Message("set it again, in UTF-8")
        ) from None
    return given


def _path(given: str | None) -> Path | None:
    return Path(given) if given else None


def _seconds(given: str | None, configured: float | None) -> float:
    if given is None:
        return DEFAULT_PATIENCE_S if configured is None else configured
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1
    if not is_valid_patience(seconds):
        raise UsageError(
            Message(
                "invalid DOCSEND_PATIENCE: {value!r} (expected a number of seconds, at most one week)",
                value=given,
            ),
            Message("set it to a number of seconds, such as 300"),
        )
    return seconds


def _language(flag: str | None, environment: Mapping[str, str]) -> Language:
    try:
        return i18n.choose_language(flag, environment)
    except ValueError as error:
        requested = error.args[0]
        raise UsageError(
            Message("unsupported language: {language!r}", language=requested),
            Message("choose one of: {choices}", choices=", ".join(i18n.LANGUAGES)),
        ) from None
