"""How fast a server says that it is alive, while it is under load.

walk feels it during each rung: a server that computes where it answers cannot tell.
"""

import http.client
import time

import numpy as np

from headway.tools.repeated import Repeated

__all__ = ["Pulse"]

_EVERY_S = 0.05
_TIMEOUT_S = 30.0


class Pulse(Repeated):
    """Asks for /livez again and again, in a thread of its own.

    Args:
        url: Of the server.
    """

    def __init__(self, url: str) -> None:
        self._address = url.removeprefix("http://")
        super().__init__(self._feel, every_s=_EVERY_S, end_s=_TIMEOUT_S)
        self._took_s: list[float] = []

    @property
    def p99_ms(self) -> float:
        """Of the answers; what had none took as long as it was waited for."""
        if not self._took_s:
            return float("nan")
        return float(np.quantile(self._took_s, 0.99, method="higher")) * 1e3

    def _feel(self) -> None:
        began = time.monotonic()
        connection = http.client.HTTPConnection(self._address, timeout=_TIMEOUT_S)
        try:
            connection.request("GET", "/livez")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass  # it took what it took
        finally:
            connection.close()
        self._took_s.append(time.monotonic() - began)
