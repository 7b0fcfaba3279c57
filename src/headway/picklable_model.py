"""`headway.picklable_model`: save, get and load any model that can be pickled."""

from headway.models.frameworks.picklable_model import get, load_model, save_model

__all__ = ["get", "load_model", "save_model"]
