"""Explains uses of frameworks that Headway has no module for yet.

headway/__init__ calls it for `headway.pytorch`, and installs the finder for
`import headway.pytorch`. It lists the frameworks that users of BentoML may look for.
"""

import sys

from headway.errors import MissingFrameworkError

MISSING_FRAMEWORKS = frozenset(
    {
        "catboost",
        "coreml",
        "detectron",
        "diffusers",
        "easyocr",
        "fastai",
        "flax",
        "gluon",
        "h2o",
        "jax",
        "keras",
        "lightgbm",
        "mlflow",
        "mxnet",
        "onnx",
        "onnxmlir",
        "paddle",
        "prophet",
        "pycaret",
        "pyspark",
        "pytorch",
        "pytorch_lightning",
        "spacy",
        "statsmodels",
        "tensorflow",
        "tensorflow_v1",
        "torch",
        "torchscript",
        "transformers",
        "triton",
    }
)


def missing_framework(name: str) -> MissingFrameworkError:
    """Return the error that says how to save such a model today."""
    return MissingFrameworkError(
        f"Headway has no module for {name} yet: save the model with "
        "headway.picklable_model.save_model(...), which saves any object that can be "
        'pickled; see "Guides: Save and load models" (docs/guides/models.md)'
    )


class _Finder:
    """The last entry of sys.meta_path: is called if no other finder has the module."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        package, _, framework = name.rpartition(".")
        if package == "headway" and framework in MISSING_FRAMEWORKS:
            raise missing_framework(framework)


def install_finder() -> None:
    """Let `import headway.pytorch` and the like raise `missing_framework`."""
    if _Finder not in sys.meta_path:
        sys.meta_path.append(_Finder)
