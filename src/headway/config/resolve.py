"""Resolves the configuration from defaults, file, code, environment and flags.

The CLI calls `resolve` once; everything else gets the ResolvedConfig.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from headway.config.resolved import ResolvedConfig

__all__ = ["resolve"]


def resolve(
    *,
    config_file: Path | None = None,
    service_dir: Path | None = None,
    environ: Mapping[str, str],
    flags: Mapping[str, object] | None = None,
    runner_options: Mapping[str, Mapping[str, object]] | None = None,
    runner_methods: Mapping[str, Collection[str]] | None = None,
) -> ResolvedConfig:
    """Return the settings that hold, and where each came from.

    From low to high: default, the file's general values, values given in code, the
    file's `runners.NAME`, environment variables, flags.

    Args:
        config_file: The file named by `--config`; else $HEADWAY_CONFIG, else
            headway.yaml in `service_dir`, if it is there.
        service_dir: Where the service lives.
        environ: The environment, `HEADWAY_API_SERVER__PORT=4000` style.
        flags: Dotted key to value or text, as in `{"api_server.port": "4000"}`; None
            values count as not given.
        runner_options: By runner, what code gave: dotted key below `runners.NAME` to
            value, as in `{"iris": {"methods.predict.max_batch_size": 32}}`; None
            values count as not given.
        runner_methods: The service's runners with their methods' names; None if they
            are not known, and then names in the file are not checked.

    Raises:
        ConfigError: If a key is unknown, a value of the wrong type or absurd, the
            file cannot be read, or a runner's name is a key of `runners`.
    """
    raise NotImplementedError
