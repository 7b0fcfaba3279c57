"""Resolves a configuration file's text for the tests of this folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from headway.config.resolution import ResolvedConfig, resolve
from headway.errors import ConfigError

RUNNERS = {"iris": ["predict", "predict_proba"], "credit.risk-model": ["predict"]}


def resolve_text(
    tmp_path: Path,
    text: str,
    *,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, object] | None = None,
    options: Mapping[str, Mapping[str, object]] | None = None,
    runners: Mapping[str, list[str]] = RUNNERS,
) -> ResolvedConfig:
    """Resolve with `text` as the service's headway.yaml."""
    (tmp_path / "headway.yaml").write_text(text, encoding="utf-8")
    return resolve(
        service_dir=tmp_path,
        environ=environ or {},
        flags=flags,
        runner_options=options,
        runner_methods=runners,
    )


def refusal(tmp_path: Path, text: str, **options: Any) -> str:
    """Return the error message, without the folder."""
    with pytest.raises(ConfigError) as caught:
        resolve_text(tmp_path, text, **options)
    assert "\n" not in caught.value.message
    return caught.value.message.replace(f"{tmp_path}/", "")
