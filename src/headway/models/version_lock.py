"""Keeps `name:latest` the same version for all processes of one server while it runs.

store calls it. The supervisor gives its children a directory in an environment
variable; the first process that resolves a tag decides its version for all. Otherwise
a runner restarted after a new save would load another version than the API workers use.
"""

import secrets
from collections.abc import Callable
from pathlib import Path

from headway.models.record import Tag

__all__ = ["VERSION_LOCK_VARIABLE", "VersionLock"]

VERSION_LOCK_VARIABLE = "HEADWAY_VERSION_LOCK"


class VersionLock:
    """The versions that one server's processes use.

    Args:
        directory: Shared by the server's processes; created when needed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def resolve(self, requested: Tag, find: Callable[[], Tag]) -> Tag:
        """Return the locked version of a tag; if there is none, find and lock one.

        Args:
            requested: The tag as the user wrote it.
            find: Returns the tag with the version to use from now on.
        """
        path = self._directory / f"{requested.name}:{requested.version or 'latest'}"
        try:
            return Tag(requested.name, path.read_text("utf-8"))
        except FileNotFoundError:
            found = find()
        self._directory.mkdir(parents=True, exist_ok=True)
        draft = self._directory / f".{secrets.token_hex(8)}"
        draft.write_text(found.version or "", "utf-8")
        try:
            path.hardlink_to(draft)  # unlike a rename, fails if another was first
        except FileExistsError:
            return Tag(requested.name, path.read_text("utf-8"))
        finally:
            draft.unlink()
        return found
