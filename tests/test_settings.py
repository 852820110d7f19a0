import pytest

from evergreen.settings import Settings


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:////srv/evergreen.db", "/srv/evergreen.db"),
        ("sqlite+pysqlite:////srv/evergreen.db", "/srv/evergreen.db"),
        ("sqlite:////srv/evergreen.db?timeout=5", "/srv/evergreen.db"),
        ("postgresql://db/evergreen", None),
    ],
)
def test_the_file_of_a_database_is_known_however_its_address_is_written(url, file):
    settings = Settings.from_environment({"EVERGREEN_STORE_URL": url, "MLFLOW_TRACKING_URI": url})
    assert [path and path.as_posix() for path in (settings.store_file, settings.tracking_file)] == [file, file]
