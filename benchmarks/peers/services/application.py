"""The credit application that servers with pydantic validate, as the example does."""

from typing import Literal

from pydantic import BaseModel

__all__ = ["CreditApplication"]


class CreditApplication(BaseModel):
    """A credit application."""

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
