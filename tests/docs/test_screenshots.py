"""Pictures in the guides: each one is taken by the script, shown somewhere, readable, and of a reasonable size."""

import importlib
import re
import struct
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
IMAGES = REPOSITORY / "docs" / "images"
LARGEST_BYTES = 300_000
# Drawn by benchmarks/monitoring/estimates.py, from tables that do not ship.
DRAWN = {"estimates"}


@pytest.fixture
def pictures(monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "docs")
    return importlib.import_module("screenshots").PICTURES


def test_every_picture_is_one_that_the_script_takes(pictures):
    assert {path.stem for path in IMAGES.iterdir()} - DRAWN == set(pictures)


def test_every_picture_is_shown_somewhere():
    texts = [path.read_text(encoding="utf-8") for path in (*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"))]
    shown = {Path(target).name for text in texts for target in re.findall(r"!\[[^\]]+\]\(([^)\s]+)\)", text)}
    assert {path.name for path in IMAGES.iterdir()} - shown == set()


def test_every_picture_is_as_large_as_the_script_says_and_not_too_heavy(pictures):
    for name, (_, size) in pictures.items():
        content = (IMAGES / f"{name}.png").read_bytes()
        assert len(content) <= LARGEST_BYTES, name
        assert struct.unpack(">II", content[16:24]) == size, name
