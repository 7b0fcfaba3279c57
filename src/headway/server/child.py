"""One process of the supervisor: starts it, drains it, restarts it when it dies.

The supervisor has a Child for each API worker, runner and replica.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from headway.core.clock import Clock
from headway.errors import StartError
from headway.server.control import ControlChannel, Failed, ProcessSpec, Ready

_log = logging.getLogger(__name__)


class Child:
    """A process and its control channel.

    Args:
        spec: How to start the process, and its only message.
        on_restart: Called before each restart.
        clock: Times the back-off.
    """

    def __init__(
        self,
        *,
        spec: ProcessSpec,
        on_restart: Callable[["Child"], None],
        clock: Clock,
    ) -> None:
        self.name = spec.name
        self._spec = spec
        self._on_restart = on_restart
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._control: ControlChannel | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._is_up = False
        self._started_at = 0.0

    async def start(self) -> Any:
        """Start the process and return its answer: Ready or ServicePlan.

        Raises:
            StartError: If it fails, ends or takes too long.
        """
        self._is_up = False
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "headway.server.process", self.name),
                *(str(theirs.fileno()), str(os.getpid())),
                pass_fds=(theirs.fileno(), *self._spec.sockets),
                env={**os.environ, **self._spec.environment},
                stdin=asyncio.subprocess.DEVNULL,
            )
        finally:
            theirs.close()
        self._started_at = self._clock.now()
        self._control = await ControlChannel.open(ours)
        await self._control.send(self._spec)
        try:
            async with asyncio.timeout(self._spec.startup_timeout_s):
                message = await self._control.receive()
        except TimeoutError:
            self._signal(signal.SIGKILL)
            raise StartError(
                f"{self.name} was not ready within {self._spec.startup_timeout_s:g} s: "
                "look at its log above, or raise startup_timeout_s"
            ) from None
        if isinstance(message, Failed):
            raise StartError(message.message)
        if message is None:
            code = await self._process.wait()
            raise StartError(f"{self.name} {_ended(code)} before it was ready")
        self._is_up = True
        return message

    def keep(self) -> None:
        """Restart the process from now on whenever it ends by itself."""
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        restart = self._spec.restart
        delay_s = restart.delay_s
        while True:
            assert self._process is not None
            code = await self._process.wait()
            await self._close_control()
            if self._stopping.is_set():
                return
            if self._clock.now() - self._started_at > restart.healthy_after_s:
                delay_s = restart.delay_s
            self._on_restart(self)
            _log.error("%s %s; it restarts in %.2f s", self.name, _ended(code), delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, restart.max_delay_s)
            if self._stopping.is_set():
                return
            try:
                if isinstance(await self.start(), Ready):
                    _log.info("%s is ready again", self.name)
            except (StartError, OSError) as error:
                _log.error("%s", error)

    def let_end(self) -> None:
        """Do not restart the process any more."""
        self._stopping.set()

    async def stop(self, timeout_s: float) -> None:
        """Drain and end the process; kill it after `timeout_s`."""
        self.let_end()
        if self._keeper is not None and self._control is None:
            self._keeper.cancel()
        if self._process is None:
            return
        await self._close_control()
        if not self._is_up:
            # It may be loading a model and not read the channel.
            self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.wait()
        except TimeoutError:
            _log.warning(
                "%s did not end within %.1f s and is killed", self.name, timeout_s
            )
            self._signal(signal.SIGKILL)
            await self._process.wait()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

    def _signal(self, number: signal.Signals) -> None:
        # The process's own methods would reap it if it has just ended, and asyncio
        # would never see its exit code.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    async def _close_control(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            await control.aclose()


def _ended(code: int) -> str:
    """Return how a process ended, for messages."""
    if code >= 0:
        return f"ended with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
    return f"was killed by {name}"
