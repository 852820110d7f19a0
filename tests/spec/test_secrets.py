"""A spec is read by many and kept with every run: no address in it may hold a secret."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from evergreen.spec.data import Source

SOURCES = {
    "csv": lambda address: {"kind": "csv", "path": address},
    "parquet": lambda address: {"kind": "parquet", "path": address},
    "http": lambda address: {"kind": "http", "url": address},
    "sql": lambda address: {"kind": "sql", "query": "SELECT 1", "url": address},
    "duckdb table": lambda address: {"kind": "duckdb", "query": "SELECT 1", "tables": {"sales": address}},
    "duckdb file": lambda address: {"kind": "duckdb", "query": "SELECT 1", "database": address},
}
NEXT_STEP = {"http": "header_env", "sql": "url_env"}


def read(kind: str, address: str) -> Any:
    return TypeAdapter(Source).validate_python(SOURCES[kind](address))


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize(
    "address",
    [
        "https://me:s3cret@example.com/x.csv",
        "https://me:s3/cret@example.com/x.csv",
        "https://example.com/x.csv?page=2&key=s3cret",
        "https://example.com/x.csv?X-Amz-Signature=s3cret",
        "https://example.com/x.csv?sig=s3cret",
        "s3://id:s3cret@bucket/x.parquet",
        "simplecache::s3://id:s3cret@bucket/x.parquet",
        "postgresql://db/x?user=eva&password=s3cret",
        "postgresql//eva:s3cret@db/x",
        "mssql+pyodbc:///?odbc_connect=PWD%3Ds3cret",
    ],
)
def test_an_address_with_a_secret_is_refused_with_the_next_step(kind, address):
    with pytest.raises(ValidationError) as caught:
        read(kind, address)
    (error,) = caught.value.errors()
    assert "holds a secret" in error["msg"]
    assert NEXT_STEP.get(kind, "environment") in error["msg"]
    assert "cret" not in error["msg"].replace("secret", "")


def test_a_token_in_place_of_a_user_is_a_secret_of_a_web_address_and_a_user_of_a_database_is_none():
    with pytest.raises(ValidationError, match="a user or token"):
        read("http", "https://t0ken@example.com/x.csv")
    assert read("sql", "postgresql://eva@db/x").url == "postgresql://eva@db/x"


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("csv", "data/from me@home at 10:30.csv"),
        ("csv", "package://palmerpenguins/data/penguins.csv"),
        ("parquet", "s3://bucket/keys/monkey.parquet"),
        ("parquet", "zip://sales.csv::https://example.com/a@1/x.zip"),
        ("http", "https://cdn.example.com:8080/pkg@1.2/x.csv?page=2&keyboard=1"),
        ("sql", "postgresql://db:5432/x?sslmode=require&sslkey=/etc/key.pem"),
        ("sql", "sqlite:////srv/a:b@c.db"),
        ("duckdb table", "data/*.parquet"),
    ],
)
def test_an_address_without_a_secret_is_taken_as_it_is(kind, address):
    assert address in str(read(kind, address).model_dump())
