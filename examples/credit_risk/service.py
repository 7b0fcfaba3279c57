"""Decides on credit applications: headway serve service:svc --production"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

import headway
from headway.io import JSON


class CreditApplication(BaseModel):
    """The applicant, the loan and its purpose."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "seniority": 9,
                    "home": "rent",
                    "time": 60,
                    "age": 30,
                    "marital": "married",
                    "records": "no",
                    "job": "freelance",
                    "expenses": 73,
                    "income": 129,
                    "assets": 0,
                    "debt": 0,
                    "amount": 800,
                    "price": 846,
                }
            ]
        }
    )

    seniority: int
    home: Literal["ignore", "other", "owner", "parents", "priv", "rent", "unknown"]
    time: int
    age: int
    marital: Literal["divorced", "married", "separated", "single", "unknown", "widow"]
    records: Literal["no", "yes"]
    job: Literal["fixed", "freelance", "others", "partime", "unknown"]
    expenses: int
    income: float | None
    assets: float | None
    debt: float | None
    amount: int
    price: int


model = headway.xgboost.get("credit_risk_model:latest")
dv = model.custom_objects["dictVectorizer"]
runner = model.to_runner()
svc = headway.Service("credit_risk_classifier", runners=[runner])


@svc.api(input=JSON(pydantic_model=CreditApplication), output=JSON())
async def classify(application):
    """Say whether to lend."""
    vector = dv.transform(application.model_dump())
    prediction = await runner.predict.async_run(vector)
    return {"status": "DECLINED" if prediction[0] > 0.5 else "APPROVED"}
