"""`headway.Service`: the service that a user writes, and itself as an application.

It stands above what builds that application, as a service beneath could not name it
without a circle of imports.
"""

import functools

from headway.server.asgi_app import ServiceApp
from headway.server.asgi_app import asgi_app as make_app
from headway.service import service

__all__ = ["Service"]


class Service(service.Service):
    """A set of API functions, the runners that they await, and its ASGI application.

    Args:
        name: Shown in the documentation and the logs.
        runners: Each is served by processes of its own.
        models: Saved models that API functions use without a runner, for listing.

    Raises:
        ConfigError: If the name is malformed or two runners share a name.
    """

    @functools.cached_property
    def asgi_app(self) -> ServiceApp:
        """This service as an ASGI application; see `headway.asgi_app`."""
        return make_app(self)
