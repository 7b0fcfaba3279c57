"""Keeps "latest" the same for all processes of one server, for as long as it runs.

store asks it. The supervisor makes an empty directory and names it to its children in
`HEADWAY_MODEL_PINS`; the first of them that asks for a tag decides for all. Otherwise a
runner restarted after a new save would run another model than the API workers encode
for.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

from headway.models.store.tag import Tag

__all__ = ["PINS_VARIABLE", "Pins"]

PINS_VARIABLE = "HEADWAY_MODEL_PINS"


class Pins:
    """The versions that one server has settled on.

    Args:
        directory: Shared by the server's processes; may not exist yet.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def resolve(self, asked: Tag, decide: Callable[[], Tag]) -> Tag:
        """Return the version settled on for a tag, or settle on one.

        Args:
            asked: The tag as the user wrote it.
            decide: Finds the version if none is settled on yet.
        """
        path = self._directory / f"{asked.name}:{asked.version or 'latest'}"
        try:
            return Tag(asked.name, path.read_text("utf-8"))
        except FileNotFoundError:
            decided = decide()
        self._directory.mkdir(parents=True, exist_ok=True)
        draft = self._directory / f".{secrets.token_hex(8)}"
        draft.write_text(decided.version or "", "utf-8")
        try:
            path.hardlink_to(draft)  # unlike a rename, fails if another was first
        except FileExistsError:
            return Tag(asked.name, path.read_text("utf-8"))
        finally:
            draft.unlink()
        return decided
