"""`headway.locust`: open-loop users for locustfiles; importing it imports Locust."""

from headway.tools.load.arrivals import Arrivals, Bursts, Constant, Poisson, Trace
from headway.tools.load.open_loop_sender import OpenLoopRequest as Request
from headway.tools.load.open_loop_user import OpenLoopUser

__all__ = [
    "Arrivals",
    "Bursts",
    "Constant",
    "OpenLoopUser",
    "Poisson",
    "Request",
    "Trace",
]
