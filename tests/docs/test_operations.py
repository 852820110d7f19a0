"""What the guide says of the doctor, of parts and of files is what there is."""

import re
from datetime import UTC, datetime
from pathlib import Path

from evergreen.operations.doctor.examine import PARTS

TEXT = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


def rows(title: str) -> list[str]:
    """The first cells of the table below a heading."""
    section = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"(?m)^\| `([^`]+)` \|", section)


def test_the_guide_explains_every_finding_of_the_doctor_in_its_order():
    assert rows("Doctor") == [name for part in PARTS for name in part.names]


def test_the_guide_names_every_part_that_up_starts(tmp_path):
    from evergreen.cli.parts import choose_places, table_of_parts
    from evergreen.settings import Settings

    settings = Settings.from_environment({"EVERGREEN_HOME": str(tmp_path)})
    parts = table_of_parts(settings, choose_places({}, 0, 0, 0), 1, datetime.now(UTC))
    assert rows("Up") == [part.name for part in parts]


def test_every_command_in_the_guide_is_one():
    from typer.main import get_command

    from evergreen.cli.main import app

    known = get_command(app).commands  # type: ignore[attr-defined]
    shown = re.findall(r"(?m)^\$ (?:.*&& )?evergreen (\w+)", TEXT) + re.findall(r"`evergreen (\w+)", TEXT)
    assert {command for command in shown if command not in known} == set()


def test_the_guide_gives_the_bounds_that_hold():
    from evergreen.operations.doctor.patient import Bounds

    bounds = Bounds()
    assert f"less than {bounds.free_bytes / 1e9:g} GB or {bounds.free_share * 100:g} % is free" in TEXT
    assert f"more than {bounds.skew.total_seconds():g} s from this machine's" in TEXT
