"""An API without a model, for measuring the load generators."""

from typing import Any

import headway
from headway.io import JSON

plain = headway.Service("plain")


@plain.api(
    input=JSON.from_sample([[5.1, 3.5, 1.4, 0.2]]), output=JSON(), name="predict"
)
async def predict_plain(rows: Any) -> Any:
    """Return the number of rows."""
    return len(rows)
