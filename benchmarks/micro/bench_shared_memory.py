"""From which size on does an array go to another process sooner through shared memory?

One process sends calls with an array each, the other copies it as a batch would and
answers a number: through the socket, and through the memory that both see. Time of a
call, and processor time of both processes; the best of the rounds, which take turns.
`python -m benchmarks.micro.bench_shared_memory`
"""

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import uvloop

from headway.core.method_spec import MethodSpec
from headway.ipc.call import CallEncoder, EncodedCall
from headway.ipc.channel import Channel
from headway.ipc.frames import (
    decode_calls,
    decode_results_frame,
    encode_calls,
    encode_results,
    parse_record,
)
from headway.ipc.records import CallKey, ResultsFrame
from headway.ipc.rows import encode_array
from headway.ipc.unix import UnixLink, UnixListener
from headway.runner.receiver import read_columns
from headway.server.sockets import bind_unix

_KIB = 1024
_SIZES = [4 * _KIB << power for power in range(12)]
_MEMORY_BYTES = 64 * 2**20
_IN_FLIGHT = (1, 8)
_ROUNDS = 5
_ROUND_BYTES = 16 * 2**20
_CALLS = (16, 200)
"""The fewest and the most of a round."""
_SPEC = MethodSpec("predict", batchable=True)


class Runner:
    """Copies what comes and answers a number, and its processor time."""

    def channel_opened(self, channel: Channel) -> None:
        """Wait for calls."""

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """Wait for others."""

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Answer a call."""
        calls = decode_calls(frame)
        columns = read_columns(calls, parse_record(calls.key, CallKey))
        key, payload = encode_array(columns[0].copy()[:, 0], 0)
        channel.send(
            encode_results(
                ResultsFrame(
                    group_id=calls.group_id,
                    first=0,
                    calls=1,
                    key=key,
                    sizes=(),
                    queue_delay_s=0.0,
                    row_s=0.0,
                    queue_s=0.0,
                    compute_s=time.process_time(),
                    batch_rows=1,
                    payload=memoryview(payload),
                )
            )
        )


class Worker:
    """Has some calls in flight, always."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.done = asyncio.Event()
        self.peer_s = 0.0
        self._left = self._open = 0

    def channel_opened(self, channel: Channel) -> None:
        """Begin."""
        self._channel = channel
        self.opened.set()

    def channel_lost(self, channel: Channel, error: Exception | None) -> None:
        """End."""

    def frame_received(self, channel: Channel, frame: memoryview) -> None:
        """Send the next call."""
        self.peer_s = decode_results_frame(frame).compute_s
        self._open -= 1
        if self._left:
            self._send()
        elif not self._open:
            self.done.set()

    async def run(self, call: EncodedCall, calls: int, in_flight: int) -> list[float]:
        """Return the microseconds of a call, and those of both processors."""
        self._call = call
        for count in (1, calls):  # the first tells the other one's processor time
            self._left = count
            self.done.clear()
            before_s, began, spent = (
                self.peer_s,
                time.perf_counter(),
                time.process_time(),
            )
            for _ in range(min(in_flight, count)):
                self._send()
            await self.done.wait()
        took_s = time.perf_counter() - began
        spent_s = time.process_time() - spent + self.peer_s - before_s
        return [took_s / calls * 1e6, spent_s / calls * 1e6]

    def _send(self) -> None:
        self._left -= 1
        self._open += 1
        self._channel.send(
            encode_calls(
                group_id=1,
                key=self._call.key,
                rows=(self._call.rows,),
                sizes=(),
                parts=self._call.parts,
                payload_bytes=self._call.nbytes,
                priority=0,
                deadline=1.0,
                sent_at=0.0,
            )
        )


def _serve(path: str) -> None:
    async def serve() -> None:
        UnixListener(listening=bind_unix(path), owner=Runner).start()
        await asyncio.Event().wait()

    uvloop.run(serve())


async def _measure(path: str) -> None:
    ways = []
    for memory_bytes in (0, _MEMORY_BYTES):
        worker = Worker()
        link = UnixLink(
            path=path, owner=worker, memory_bytes=memory_bytes, share_from=1
        )
        link.start()
        await worker.opened.wait()
        ways.append(worker)
    print("             us a call         us of both processors")
    print("  KiB  at once  socket  memory   socket  memory")
    for size in _SIZES:
        array = np.random.default_rng(0).random((1, size // 8))
        call = CallEncoder().encode(_SPEC, (array,), {})
        calls = min(max(_ROUND_BYTES // size, _CALLS[0]), _CALLS[1])
        for in_flight in _IN_FLIGHT:
            rounds: Sequence[list[list[float]]] = [[], []]
            for _ in range(_ROUNDS):
                for worker, figures in zip(ways, rounds, strict=True):
                    figures.append(await worker.run(call, calls, in_flight))
            best = [
                [min(column) for column in zip(*one, strict=True)] for one in rounds
            ]
            (socket_us, socket_spent), (memory_us, memory_spent) = best
            print(
                f"{size // _KIB:5d}  {in_flight:7d}  {socket_us:6.0f}  {memory_us:6.0f}"
                f"   {socket_spent:6.0f}  {memory_spent:6.0f}"
            )


def main() -> None:
    """Run it."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "runner")
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(path,), daemon=True
        )
        process.start()
        try:
            uvloop.run(_measure(path))
        finally:
            process.terminate()
            process.join()


if __name__ == "__main__":
    main()
