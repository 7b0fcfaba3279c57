"""Returns how many objects each process excludes from garbage collections."""

import gc

import headway
from headway.io import JSON


class Counter(headway.Runnable):
    @headway.Runnable.method
    def frozen(self) -> int:
        return gc.get_freeze_count()


runner = headway.Runner(Counter, name="counter")
svc = headway.Service("frozen", runners=[runner])


@svc.api(output=JSON())
async def frozen() -> dict[str, int]:
    return {"api": gc.get_freeze_count(), "runner": await runner.frozen.async_run()}
