"""mosec: one inference worker with dynamic batching behind its Rust front."""

from typing import Any

from benchmarks.peers.services.inference import answer_all, load
from mosec import Server, Worker


class Inference(Worker):
    """Answers batches."""

    def __init__(self) -> None:
        super().__init__()
        self._predict = load()

    def deserialize(self, data: bytes) -> bytes:
        """Leave the body as it is; `forward` reads all of a batch."""
        return data

    def forward(self, data: list[bytes]) -> list[Any]:
        """Return the answers to each request of a batch."""
        return answer_all(self._predict, data)


if __name__ == "__main__":
    server = Server()
    # 1 ms is the shortest wait that it takes.
    server.append_worker(
        Inference, num=1, max_batch_size=2048, max_wait_time=1, route="/predict"
    )
    server.run()
