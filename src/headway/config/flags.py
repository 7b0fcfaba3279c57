"""The flags of `headway serve` that the schema implies.

cli/serve makes options of them and hands what they get to `resolve(flags=...)`.
"""

import msgspec

from headway.config.documentation import as_yaml, field_docs, type_name
from headway.config.schema import ApiServerConfig
from headway.config.settings import settings_of

__all__ = ["Flag", "serve_flags"]

_SHORT = {"port": "-p"}


class Flag(msgspec.Struct, frozen=True):
    """A command-line option that sets a setting."""

    key: str
    """The setting, for `resolve(flags={key: text})`."""
    names: tuple[str, ...]
    """As in `("-p", "--port")`."""
    metavar: str
    """What to give, in a word."""
    help: str
    """What it means, with its default; the value itself is checked by resolve."""


def serve_flags() -> list[Flag]:
    """Return a flag for each setting of the API server outside sub-sections."""
    docs = field_docs()
    flags = []
    for setting in settings_of(ApiServerConfig):
        if len(setting.path) > 1:
            continue
        short = _SHORT.get(setting.field)
        flags.append(
            Flag(
                key="api_server." + setting.key,
                names=(short, setting.flag) if short else (setting.flag,),
                metavar=type_name(setting.value_type),
                help=f"{docs[setting.section.__name__, setting.field]} "
                f"Default: {as_yaml(setting.default)}.",
            )
        )
    return flags
