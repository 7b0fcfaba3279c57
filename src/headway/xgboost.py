"""`headway.xgboost`: save, get and load xgboost models."""

from headway.models.frameworks.xgboost import get, load_model, save_model

__all__ = ["get", "load_model", "save_model"]
