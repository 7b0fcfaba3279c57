"""Predicts the species of irises: headway serve service:svc --production"""

import headway
from headway.io import NumpyNdarray

runner = headway.sklearn.get("iris_forest:latest").to_runner()
svc = headway.Service("iris_classifier", runners=[runner])


@svc.api(
    input=NumpyNdarray(dtype="float64", shape=(-1, 4), enforce_shape=True),
    output=NumpyNdarray(),
)
async def classify(flowers):
    """Return 0, 1 or 2 for each row of sepal length, width, petal length, width."""
    return await runner.predict.async_run(flowers)
