"""Opens the service chosen for a run: a service at a URL, or the sandbox inside this process."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from docsend.config import address
from docsend.errors import UsageError
from docsend.i18n import Message
from docsend.model.notices import NOT_THE_INSTITUTE
from docsend.service.client import ServiceClient
from docsend.service.one_exchange import NEVER, OneExchangePolicy
from docsend.service.progress import ProgressListener
from docsend.service.retry import Clock, RetryPolicy

if TYPE_CHECKING:
    from docsend.auth.account import Account
    from docsend.config.settings import Settings
    from docsend.model.catalog import Catalog
    from docsend.ui.terminal import Streams


@contextlib.contextmanager
def open_service(
    settings: "Settings",
    streams: "Streams",
    listener: ProgressListener,
    account: "Account | None",
    *,
    catalog: "Catalog | None",
    jobs: int,
    sleep: Callable[[float], None],
) -> Iterator[ServiceClient]:
    """Open the service that the settings choose, as `CommandContext.open_service` describes."""
    endpoint = settings.chosen_endpoint()
    with contextlib.ExitStack() as stack:
        url = endpoint.url
        if url is None:
            server = import_sandbox_server()
            streams.say_once(NOT_THE_INSTITUTE)
            streams.say_detail(Message("sandbox folder: {folder}", folder=settings.sandbox_folder))
            url = stack.enter_context(server.run_in_background(settings.sandbox_folder))
        streams.say_detail(Message("service address: {url}", url=url))
        if endpoint.unparsed:
            streams.say_once(address.unparsed_warning(endpoint.unparsed))
        one_exchange, file = NEVER, settings.catalog_file
        if catalog is not None and file is not None:
            one_exchange = OneExchangePolicy.from_catalog(catalog, file)
        yield stack.enter_context(
            ServiceClient(
                endpoint,
                url,
                RetryPolicy(settings.patience_s),
                listener,
                account,
                one_exchange=one_exchange,
                jobs=jobs,
                clock=Clock(sleep=sleep),
            )
        )


def import_sandbox_server() -> Any:
    """Return the module that runs the sandbox.

    Raise UsageError if the extra `sandbox` is not installed.
    """
    try:
        from docsend.sandbox import server
    except ModuleNotFoundError as error:
        raise UsageError(
            Message("the sandbox is not installed: {name} is missing", name=error.name),
            Message('run `pip install ".[sandbox]"` in the folder that docsend was installed from'),
        ) from error
    return server
