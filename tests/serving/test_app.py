"""The application: what it answers, in which forms, and what it says about itself."""

import asyncio
import io
import json
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evergreen.registry.artifact import answer
from evergreen.serving.capture import Capture
from evergreen.serving.follow import Followed
from evergreen.serving.rows import rows_to_frame
from evergreen.store.ledger import Ledger
from evergreen.store.traffic import Traffic
from evergreen.store.traffic_writer import TrafficWriter
from tests.serving.application import COLUMNS, NOW, ROW, application, ask, connect, failing, gather, served, trained


@pytest.fixture(scope="module")
def app():
    return application(served())


def by_pipeline(version=1, **changes):
    """The probability that the fitted pipeline itself gives the row."""
    row = ROW | changes
    moment = None if row["last"] is None else 1769860800000000
    values = (row["price"], float(row["count"]), row["plan"], float(row["gift"]), moment, row["note"])
    pipeline, _ = trained(version)
    return dict(
        zip(pipeline.classes_, answer(pipeline, rows_to_frame(COLUMNS, [values])).probabilities[0], strict=True)
    )


def test_a_bare_object_is_answered_flat_with_what_the_pipeline_says(app):
    reply = ask(app, "POST", "/predict", json={**ROW, "parcel": "A-1"})
    said = reply.json()
    assert reply.status_code == 200
    assert (said["model"], said["version"], said["row_id"]) == ("parcels", 1, "A-1")
    assert said["probabilities"] == pytest.approx(by_pipeline(), abs=1e-9)
    assert said["prediction"] == max(by_pipeline(), key=by_pipeline().get)
    assert reply.headers["x-evergreen-model-version"] == "1"
    assert reply.headers["x-request-id"] == said["request_id"]
    assert said["prediction_id"].startswith(said["request_id"])


@pytest.mark.parametrize("count", [1, 3, 200])
@pytest.mark.parametrize("path", ["/predict", "/models/parcels/predict"])
def test_rows_are_answered_in_their_order(app, path, count):
    prices = [float(i % 100) for i in range(count)]
    said = ask(app, "POST", path, json={"rows": [ROW | {"price": price} for price in prices]}).json()
    assert len({one["prediction_id"] for one in said["predictions"]}) == count
    found = [one["probabilities"]["yes"] for one in said["predictions"]]
    assert found[0] == pytest.approx(by_pipeline(price=prices[0])["yes"], abs=1e-9)
    assert found[-1] == pytest.approx(by_pipeline(price=prices[-1])["yes"], abs=1e-9)


FORMS = [
    {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}},
    {"dataframe_records": [ROW]},
    {"instances": [ROW]},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: next(iter(form)))
def test_clients_of_mlflow_are_answered_as_they_are_used_to(app, form):
    said = ask(app, "POST", "/invocations", json=form).json()
    assert said["predictions"] == [max(by_pipeline(), key=by_pipeline().get)]
    assert len(said["prediction_ids"]) == 1


def arrow_of(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def parquet_of(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("kind", "write", "read"),
    [
        ("application/vnd.apache.arrow.stream", arrow_of, lambda b: pa.ipc.open_stream(b).read_all()),
        ("application/vnd.apache.parquet", parquet_of, lambda b: pq.read_table(io.BytesIO(b))),
    ],
)
def test_batches_are_answered_in_the_form_that_is_asked_for(app, kind, write, read):
    table = pa.table({name: [value] * 3 for name, value in ROW.items()}).set_column(0, "price", [[1.0, 2.0, 3.0]])
    plain = ask(app, "POST", "/predict", content=write(table), headers={"content-type": kind})
    same = ask(app, "POST", "/predict", content=write(table), headers={"content-type": kind, "accept": kind})
    assert [plain.headers["content-type"], same.headers["content-type"]] == ["application/json", kind]
    answers = read(same.content)
    assert answers["prediction"].to_pylist() == [one["prediction"] for one in plain.json()["predictions"]]
    assert answers["probability_yes"][2].as_py() == pytest.approx(by_pipeline(price=3.0)["yes"], abs=1e-9)
    assert answers.schema.metadata[b"version"] == b"1"


def test_of_several_models_each_has_its_own_address():
    app = application(served(1, "parcels"), served(2, "letters"))
    assert ask(app, "POST", "/predict", json=ROW).json()["error"]["kind"] == "which_model"
    assert ask(app, "POST", "/models/letters/predict", json=ROW).json()["version"] == 2
    assert ask(app, "POST", "/models/parcels/predict", json=ROW).json()["version"] == 1
    assert ask(app, "POST", "/models/stamps/predict", json=ROW).status_code == 404


def test_a_server_that_waits_for_its_first_model_is_not_ready_until_that_joins():
    from evergreen.serving.ids import Ids
    from evergreen.serving.loaded import LoadedModels
    from evergreen.serving.service import Dependencies, build_app

    loaded = LoadedModels()
    app = build_app(Dependencies(loaded, lambda: NOW, Ids(NOW, "x")))
    assert ask(app, "GET", "/ready").status_code == 503
    early = ask(app, "POST", "/predict", json=ROW)
    assert (early.status_code, early.json()["error"]["kind"]) == (503, "not_ready")
    assert ask(app, "POST", "/models/parcels/predict", json=ROW).status_code == 404
    assert "No model is loaded yet" in ask(app, "GET", "/openapi.json").text
    loaded.swap(served())
    assert ask(app, "GET", "/ready").status_code == 200
    assert ask(app, "POST", "/predict", json=ROW).status_code == 200
    assert "/models/parcels/predict" in ask(app, "GET", "/openapi.json").json()["paths"]
    assert ask(app, "GET", "/metrics").text.count("evergreen_model{") == 1


def test_until_a_version_is_loaded_nothing_is_ready():
    from evergreen.serving.ids import Ids
    from evergreen.serving.loaded import LoadedModels
    from evergreen.serving.service import Dependencies, build_app

    loaded = LoadedModels(["parcels"])
    app = build_app(Dependencies(loaded, lambda: NOW, Ids(NOW, "x")))
    assert ask(app, "GET", "/health").json() == {"status": "ok"}
    assert ask(app, "GET", "/ready").status_code == 503
    early = ask(app, "POST", "/predict", json=ROW)
    assert (early.status_code, early.json()["error"]["kind"]) == (503, "not_ready")
    assert early.headers["retry-after"]
    loaded.swap(served())
    assert ask(app, "GET", "/ready").status_code == 200
    assert ask(app, "POST", "/predict", json=ROW).status_code == 200


def test_ready_says_which_engine_answers_and_why(app):
    said = ask(app, "GET", "/ready").json()["models"]["parcels"]["champion"]
    assert (said["version"], said["engine"], said["why"]) == (1, "compiled", "")
    assert ask(app, "GET", "/version").json() == {"evergreen": "test", "models": {"parcels": 1}}


def test_metrics_count_what_happened():
    app = application(served())
    gather(app, [("POST", "/predict", {"json": ROW})] * 5)
    ask(app, "POST", "/predict", json=ROW | {"price": -1})
    text = ask(app, "GET", "/metrics").text
    assert 'evergreen_requests_total{model="parcels",route="predict",status="200"} 5.0' in text
    assert 'evergreen_refusals_total{kind="invalid"} 1.0' in text
    assert 'evergreen_predictions_total{model="parcels",version="1"} 5.0' in text
    assert 'evergreen_request_seconds_count{route="predict"} 6.0' in text
    assert "evergreen_call_rows_sum 5.0" in text
    assert 'evergreen_swaps_total{model="parcels"} 1.0' in text
    assert 'role="champion",version="1"} 1.0' in text


def test_the_document_is_typed_by_the_columns_and_made_anew_by_a_swap():
    from jsonschema import Draft202012Validator

    app = application(served())
    document = ask(app, "GET", "/openapi.json").json()
    content = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    row = content["schema"]["x-row"]
    assert row["properties"]["price"] == {"type": ["number", "null"], "minimum": 0.0, "maximum": 100.0}
    assert row["properties"]["count"]["type"] == "integer"
    assert row["properties"]["plan"]["enum"] == ["basic", "plus", "pro", None]
    for example in content["examples"].values():
        Draft202012Validator(content["schema"]).validate(example["value"])
        assert ask(app, "POST", "/predict", json=example["value"]).status_code == 200
    app._loaded.swap(served(2))
    assert "version 2" in ask(app, "GET", "/openapi.json").json()["info"]["description"]


def test_the_page_of_documents_needs_nothing_from_elsewhere(app):
    page = ask(app, "GET", "/docs")
    parts = [ask(app, "GET", f"/docs/{name}") for name in ("page.js", "page.css")]
    assert [one.status_code for one in (page, *parts)] == [200] * 3
    assert "http" not in page.text + parts[1].text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert ask(app, "GET", "/redoc").headers["location"] == "docs"
    assert ask(app, "GET", "/docs/other.js").status_code == 404


@pytest.fixture
def kept(tmp_path):
    """An application whose answers and labels are kept in a store, and that store."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    Ledger(url).prepare()
    capture = Capture(TrafficWriter(url), lambda: NOW)
    yield application(served(), capture=capture, labels=Traffic(url)), capture, Traffic(url)
    capture.close(5)


def test_what_is_answered_is_captured_as_it_was_served(kept):
    app, capture, traffic = kept
    single = ask(app, "POST", "/predict", json={**ROW, "price": None, "parcel": 7}).json()
    ask(app, "POST", "/predict", json={"rows": [ROW] * 70})
    assert capture.close(5) == 0
    captured = traffic.window("parcels", NOW - timedelta(hours=1), NOW + timedelta(hours=1))
    assert captured.rows == 71
    place = captured.answers["id"].to_pylist().index(single["prediction_id"])
    row = captured.answers.slice(place, 1).to_pylist()[0]
    assert (row["row_id"], row["prediction"], row["version"]) == ("7", single["prediction"], 1)
    assert captured.inputs.slice(place, 1).to_pylist()[0] == {**ROW, "price": None}


@pytest.mark.parametrize(
    ("labels", "outcomes"),
    [
        ([{"label": "yes"}], ["new"]),
        ([{"label": "yes"}, {"label": "no"}], ["new", "corrected"]),
        ([{"label": "yes", "at": "2026-06-01T11:00:00Z"}] * 2, ["new", "duplicate"]),
    ],
)
def test_labels_come_late_twice_and_corrected(kept, labels, outcomes):
    app, capture, _ = kept
    ask(app, "POST", "/predict", json={**ROW, "parcel": "A"})
    predicted = ask(app, "POST", "/predict", json=ROW).json()["prediction_id"]
    assert capture.close(5) == 0
    told = [ask(app, "POST", "/feedback", json={"prediction_id": predicted, **label}).json() for label in labels]
    assert [one["outcome"] for one in told] == outcomes
    many = {"feedback": [{"row_id": "A", "label": "no"}, {"row_id": "B", "label": "no"}]}
    said = ask(app, "POST", "/models/parcels/feedback", json=many).json()
    assert [one["outcome"] for one in said["feedback"]] == ["new", "unknown"]


def test_who_waits_for_the_store_is_told_when_it_does_not_answer(tmp_path):
    from evergreen.serving.kept import Kept

    broken = f"sqlite:///{tmp_path / 'nowhere' / 'store.db'}"
    capture = Capture(TrafficWriter(broken), lambda: NOW, {"parcels": Kept(durable=True)})
    app = application(served(), capture=capture, labels=Traffic(broken))
    for path, body in (("/predict", ROW), ("/feedback", {"row_id": "A", "label": "no"})):
        reply = ask(app, "POST", path, json=body)
        assert (reply.status_code, reply.json()["error"]["kind"]) == (503, "not_kept")
        assert str(tmp_path) not in reply.text
    capture.close(0)


def test_fifty_swaps_among_requests_mix_no_answer():
    """Each answer's version fits its values, whichever was asked while the other came."""
    app = application(served(1))
    expected = {version: by_pipeline(version)["yes"] for version in (1, 2)}
    assert abs(expected[1] - expected[2]) > 1e-6

    async def swap(loaded):
        for number in range(50):
            await asyncio.sleep(0.002)
            loaded.swap(served(2 - number % 2))

    async def flow(client, size, until):
        replies = []
        while not until.done():
            body = ROW if size == 1 else {"rows": [ROW] * size}
            replies.append(await client.post("/predict", json=body))
        return replies

    async def everything():
        async with connect(app) as client:
            swapping = asyncio.ensure_future(swap(app._loaded))
            flows = [flow(client, size, swapping) for size in (1, 1, 1, 1, 80)]
            return [reply for replies in await asyncio.gather(*flows) for reply in replies]

    replies = asyncio.run(everything())
    versions = set()
    for reply in replies:
        assert reply.status_code == 200
        said = reply.json()
        versions.add(said["version"])
        assert reply.headers["x-evergreen-model-version"] == str(said["version"])
        for one in said.get("predictions", [said]):
            assert one["probabilities"]["yes"] == pytest.approx(expected[said["version"]], abs=1e-9)
    assert versions == {1, 2}


SECRET = "x4711geheim"
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just(SECRET * 3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*ROW, "x"]), inner, max_size=4),
    max_leaves=12,
)
rows = st.fixed_dictionaries({name: st.just(value) | anything for name, value in ROW.items()})
bodies = (
    st.binary(max_size=60)
    | anything.map(lambda value: json.dumps(value).encode())
    | rows.map(lambda row: json.dumps(row).encode())
    | st.lists(rows, max_size=3).map(lambda many: json.dumps({"rows": many}).encode())
    | st.integers(1, 3000).map(lambda depth: b"[" * depth)
    | st.lists(anything, max_size=3).map(lambda many: json.dumps({"feedback": many}).encode())
)
paths = st.sampled_from(
    [
        "/predict",
        "/invocations",
        "/feedback",
        "/models/parcels/predict",
        "/models/x/predict",
        "/health",
        "/openapi.json",
    ]
) | st.text("abc/%.?_", max_size=20).map(lambda text: f"http://localhost/{text}")
kinds = st.sampled_from(
    ["application/json", "text/plain", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet", ""]
)
requests = st.tuples(
    st.sampled_from(["POST"] * 6 + ["GET", "PUT", "DELETE", "OPTIONS", "HEAD"]),
    paths,
    st.fixed_dictionaries({"content": bodies, "headers": st.fixed_dictionaries({"content-type": kinds})}),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(requests, min_size=25, max_size=25))
def test_nothing_that_is_sent_breaks_the_server_or_makes_it_tell(app, many):
    for reply in gather(app, many):
        assert reply.status_code < 500 or reply.json()["error"]["kind"] == "no_store"
        if reply.status_code >= 400 and reply.request.method != "HEAD":
            error = reply.json()["error"]
            assert {*error} >= {"kind", "message", "problems"}
            assert SECRET * 2 not in reply.text
            assert "Traceback" not in reply.text
            assert "site-packages" not in reply.text
            assert len(reply.content) < 20_000


def test_serving_imports_no_orchestrator_no_registry_and_no_reports():
    code = """
import sys
import evergreen.serving.service, evergreen.serving.server, evergreen.serving.load, evergreen.serving.follow
print([name for name in ("prefect", "mlflow", "evidently", "matplotlib", "duckdb") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_metrics_say_whose_requests_failed():
    app = application(served(), served(model="second"))
    for path in ("/models/second/predict", "/models/invented/predict", "/predict"):
        ask(app, "POST", path, json={})
    told = ask(app, "GET", "/metrics").text
    assert 'evergreen_requests_total{model="second",route="predict",status="422"} 1.0' in told
    assert "invented" not in told
    assert 'evergreen_requests_total{model="",route="predict",status="404"} 2.0' in told
    alone = application(failing(66.0))
    ask(alone, "POST", "/predict", json=ROW | {"price": 66.0})
    told = ask(alone, "GET", "/metrics").text
    assert 'evergreen_requests_total{model="parcels",route="predict",status="500"} 1.0' in told


def test_metrics_say_how_following_goes():
    state = Followed(checked_at=NOW - timedelta(seconds=90), store_answers=False)
    told = ask(application(served(), following={"parcels": SimpleNamespace(state=state)}), "GET", "/metrics").text
    assert 'evergreen_registry_age_seconds{model="parcels"} 90.0' in told
    assert 'evergreen_store_answers{model="parcels"} 0.0' in told
    assert "evergreen_store_answers{" not in ask(application(served()), "GET", "/metrics").text
