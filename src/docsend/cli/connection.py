"""The chosen service, opened for one run: the address's own, or the sandbox inside this process."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from docsend.config import address
from docsend.errors import UsageFault
from docsend.i18n import Message
from docsend.model.notices import NOT_THE_INSTITUTE
from docsend.service.client import ServiceClient
from docsend.service.one_exchange import NEVER, OneExchange
from docsend.service.retry import Clock, RetryPolicy
from docsend.service.watcher import Watcher

if TYPE_CHECKING:
    from docsend.auth.account import Account
    from docsend.config.settings import Settings
    from docsend.model.catalog import Catalog
    from docsend.ui.terminal import Streams


@contextlib.contextmanager
def opened(
    settings: "Settings",
    streams: "Streams",
    watcher: Watcher,
    account: "Account | None",
    *,
    catalog: "Catalog | None",
    jobs: int,
    sleep: Callable[[float], None],
) -> Iterator[ServiceClient]:
    """See `Session.service`."""
    endpoint = settings.chosen_endpoint()
    with contextlib.ExitStack() as stack:
        url = endpoint.url
        if url is None:
            server = sandbox_server()
            streams.say_once(NOT_THE_INSTITUTE)
            streams.detail(Message("the sandbox's folder: {folder}", folder=settings.sandbox_data))
            url = stack.enter_context(server.beside(settings.sandbox_data))
        streams.detail(Message("the service's address: {url}", url=url))
        if endpoint.unread:
            streams.say_once(address.unread_warning(endpoint.unread))
        one_exchange, file = NEVER, settings.catalog_file
        if catalog is not None and file is not None:
            one_exchange = OneExchange.of(catalog, file)
        yield stack.enter_context(
            ServiceClient(
                endpoint,
                url,
                RetryPolicy(settings.patience_s),
                watcher,
                account,
                one_exchange=one_exchange,
                jobs=jobs,
                clock=Clock(sleep=sleep),
            )
        )


def sandbox_server() -> Any:
    """Give the module that runs the sandbox; raise UsageFault if its extra is not installed."""
    try:
        from docsend.sandbox import server
    except ModuleNotFoundError as error:
        raise UsageFault(
            Message("the sandbox is not installed: {name} is missing", name=error.name),
            Message("in the folder that docsend was installed from: pip install '.[sandbox]'"),
        ) from error
    return server
