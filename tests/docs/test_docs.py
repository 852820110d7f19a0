"""The documents name what is there: links, images, specs."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("*/README.md"), *(REPOSITORY / "docs").rglob("*.md")])
TITLES = re.compile(r"(?m)^#+ (.+)$")


def anchors(path: Path) -> set[str]:
    """Headings as they are linked to: lower case, dashes for blanks, no punctuation."""
    titles = TITLES.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(path):
    text = re.sub(r"(?s)```.*?```", "", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def test_the_readme_names_every_spec_that_ships():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [path.stem for path in (REPOSITORY / "configs").glob("*.yaml") if f"`{path.stem}`" not in text] == []


def test_the_readme_names_every_address():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    settings = (REPOSITORY / "src" / "evergreen" / "settings.py").read_text(encoding="utf-8")
    assert {name for name in re.findall(r'env\.get\("(\w+)"\)', settings) if name not in text} == set()


def test_specs_that_documents_show_are_specs(tmp_path):
    from evergreen.spec import load_spec

    shown = [block for path in DOCUMENTS for block in re.findall(r"(?ms)^```yaml\n(model: .*?)^```", path.read_text())]
    for text in shown:
        (tmp_path / "shown.yaml").write_text(text)
        load_spec(tmp_path / "shown.yaml")
