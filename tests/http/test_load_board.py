"""The board: what one process writes, all others see."""

import subprocess
import sys
from pathlib import Path

import pytest

from headway.http.balance import Load
from headway.http.shared_load_table import SharedLoadTable


def board(folder: Path, index: int, places: int = 3) -> SharedLoadTable:
    made = SharedLoadTable(path=folder / "load", index=index, places=places)
    made.start()
    return made


def test_everyone_sees_everyone(tmp_path: Path) -> None:
    boards = [board(tmp_path, index) for index in range(3)]
    boards[0].publish(Load(0.25, 7), 100.0)
    boards[2].publish(Load(1.0, 0), 100.5)
    for each in boards:
        assert each.read(101.0) == [Load(0.25, 7), None, Load(1.0, 0)]


def test_another_process_sees_it(tmp_path: Path) -> None:
    mine = board(tmp_path, 0)
    script = (
        "import sys; from pathlib import Path\n"
        "from headway.http.balance import Load\n"
        "from headway.http.shared_load_table import SharedLoadTable\n"
        "made = SharedLoadTable(path=Path(sys.argv[1]), index=1, places=3)\n"
        "made.start(); made.publish(Load(0.5, 3), 100.0)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "load")]
    subprocess.run(command, check=True, timeout=15)
    # It has ended, which shows in time.
    assert mine.read(101.0) == [None, Load(0.5, 3), None]
    assert mine.read(102.0) == [None, None, None]


def test_who_withdraws_is_gone_at_once(tmp_path: Path) -> None:
    one, two = board(tmp_path, 0), board(tmp_path, 1)
    one.publish(Load(0.5, 3), 100.0)
    assert two.read(100.0)[0] is not None
    one.withdraw()
    assert two.read(100.0) == [None, None, None]


def test_who_starts_again_keeps_what_others_wrote(tmp_path: Path) -> None:
    board(tmp_path, 0).publish(Load(0.5, 3), 100.0)
    again = board(tmp_path, 1)
    again.publish(Load(0.1, 1), 100.0)
    assert again.read(100.0) == [Load(0.5, 3), Load(0.1, 1), None]


def test_a_machine_that_has_just_booted_has_an_empty_board(tmp_path: Path) -> None:
    assert board(tmp_path, 0).read(0.5) == [None, None, None]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        board(tmp_path / "gone", 0)
