"""Runs an example's train.py as a user does."""

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["EXAMPLES", "train"]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def train(example: str, home: Path) -> tuple[str, str]:
    """Train into a model store; return the tag and all that was printed."""
    output = subprocess.run(
        [sys.executable, "train.py"],
        cwd=EXAMPLES / example,
        env={**os.environ, "HEADWAY_HOME": str(home)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    saved = re.search(r"^saved (\S+:\S+)$", output, re.MULTILINE)
    assert saved, output
    return saved[1], output
