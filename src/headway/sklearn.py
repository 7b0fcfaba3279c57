"""`headway.sklearn`: save, get and load scikit-learn models."""

from headway.models.frameworks.sklearn import get, load_model, save_model

__all__ = ["get", "load_model", "save_model"]
