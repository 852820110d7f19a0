import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.address import printable, redacted, scrubbed


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://eva:s3cret@db:5432/x", "postgresql://eva:***@db:5432/x"),
        ("postgresql://eva:s3/cr@et@db/x", "postgresql://eva:***@db/x"),
        ("postgresql://eva:s3//cret@db/x", "postgresql://eva:***@db/x"),
        ("postgresql//eva:s3cret@db", "postgresql//***@db"),
        ("eva:s3cret@db", "***@db"),
        ("https://s3cret@mlflow", "https://***@mlflow"),
        ("postgresql://db/x?user=eva&password=s3cret&sslmode=require",
         "postgresql://db/x?user=eva&password=***&sslmode=require"),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3DX%3BPWD%3Ds3cret", "mssql+pyodbc:///?odbc_connect=***"),
        ("https://h/x.csv?key=s3cret", "https://h/x.csv?key=***"),
        ("https://h/x.csv?X-Amz-Signature=s3cret&page=2", "https://h/x.csv?X-Amz-Signature=***&page=2"),
        ("sqlite:////srv/a@b.db", "sqlite:////srv/a@b.db"),
        ("s3://bucket/monkey.parquet?keyboard=1", "s3://bucket/monkey.parquet?keyboard=1"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_secrets(url, shown):
    assert redacted(url) == shown
    assert (printable(ValueError(url), url) is None) == (shown != url)


@given(st.text(min_size=1), st.sampled_from(["postgresql://", "postgresql//", "http://", "http:/", ""]))
def test_whatever_a_password_holds_nothing_of_it_is_shown(noise, scheme):
    url = f"{scheme}eva:BEFORE{noise}AFTER@db/x"
    assert "BEFORE" not in redacted(url)
    assert "AFTER" not in redacted(url)


@pytest.mark.parametrize(
    "text",
    ["cannot open postgresql://eva:s3%2Fcret@db", "invalid port 's3%2Fcret'", "eva:s3/cret is refused"],
)
def test_a_text_about_an_address_is_freed_of_its_secrets(text):
    found = scrubbed(text, "postgresql://eva:s3%2Fcret@db")
    assert "cret" not in found
    assert "***" in found
