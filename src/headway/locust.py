"""`headway.locust`: open-loop users for locustfiles; importing it imports Locust."""

from headway.tools.load.arrivals import Arrivals as Arrivals
from headway.tools.load.arrivals import Bursts as Bursts
from headway.tools.load.arrivals import Constant as Constant
from headway.tools.load.arrivals import Poisson as Poisson
from headway.tools.load.arrivals import Trace as Trace
from headway.tools.load.open_loop_user import OpenLoopUser as OpenLoopUser
from headway.tools.load.request import Request as Request
