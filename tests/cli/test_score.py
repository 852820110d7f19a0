"""`evergreen score` on the terminal."""

import pandas as pd


def test_rows_are_scored_and_then_found_scored(crowned, evergreen):
    done = evergreen("score", "tiny", "--as-of", "2026-04-01", "--chunk-rows", 40)
    assert done.code == 0, done.text
    assert "version 1 of tiny as of 2026-04-01T00:00:00Z" in done.text
    assert "part 1, 40 of 84 rows" in done.text
    assert "part 3, 84 of 84 rows" in done.text
    assert "84 rows scored by version 1 of tiny" in done.text
    assert "home/scores/tiny/20260401T000000Z-v1-" in done.text
    again = evergreen("score", "tiny", "--as-of", "2026-04-01")
    assert again.code == 0
    assert "nothing was written again" in again.text


def test_a_file_is_scored_into_a_folder_of_ones_own(crowned, shopper_table, evergreen, tmp_path):
    shopper_table(days=5)[["spent", "waited", "plan"]].to_parquet(tmp_path / "new.parquet")
    done = evergreen("score", "tiny", "--data", tmp_path / "new.parquet", "--out", tmp_path / "scores")
    assert done.code == 0, done.text
    assert len(pd.read_parquet(tmp_path / "scores" / "part-00000.parquet")) == 60


def test_mistakes_end_with_one_message(project, shopper_table, evergreen, tmp_path):
    assert "tiny has no champion that could score" in evergreen("score", "tiny").err
    gone = evergreen("score", "tiny", "--data", tmp_path / "gone.csv")
    assert (gone.code, "there is no such file to score" in gone.text) == (2, True)
    assert evergreen("score", "tiny", "--chunk-rows", 0).code == 2
    assert "is no date" in evergreen("score", "tiny", "--as-of", "soon").text
