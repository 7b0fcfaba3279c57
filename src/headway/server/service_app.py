"""`headway.Service`: a user's service, with its ASGI application.

It is in this layer because it imports what builds the application. The layers below use
its base class, service/service's ServiceDefinition.
"""

import functools

from headway.server.asgi_app import ServiceApp
from headway.server.asgi_app import asgi_app as make_app
from headway.service.service import ServiceDefinition

__all__ = ["Service"]


class Service(ServiceDefinition):
    """A set of API functions, the runners that they call, and its ASGI application.

    Args:
        name: Shown in the documentation and the logs.
        runners: Each has its own processes.
        models: Saved models that API functions use without a runner, for listing.

    Raises:
        ConfigError: If the name is malformed or two runners share a name.
    """

    @functools.cached_property
    def asgi_app(self) -> ServiceApp:
        """This service as an ASGI application; see `headway.asgi_app`."""
        return make_app(self)
