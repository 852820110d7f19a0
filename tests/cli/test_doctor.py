"""`evergreen doctor` as people and programs call it."""

import json


def test_a_home_without_faults_ends_with_0_and_says_so(project, evergreen, monkeypatch):
    leave_out(monkeypatch, "packages", "ports")
    said = evergreen("doctor")
    assert (said.code, "nothing wrong" in said.text) == (0, True)
    assert "prefect server ok not running" in said.text


def test_a_fault_ends_with_1_and_says_what_to_do(project, evergreen, monkeypatch):
    leave_out(monkeypatch, "packages", "ports")
    project.change(colour="green")
    said = evergreen("doctor")
    assert said.code == 1
    assert "colour: unknown key" in said.text
    assert "1 wrong" in said.text
    assert "evergreen schema" in said.text


def test_programs_get_json(project, evergreen, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    said = evergreen("doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(said.out)}
    assert said.code == 1
    assert {finding["outcome"] for finding in findings.values()} <= {"ok", "wrong", "unknown"}
    assert findings["prefect server"]["outcome"] == "wrong"
    assert findings["prefect server"]["do"].startswith("start it")


def leave_out(monkeypatch, *names: str) -> None:
    """What depends on the machine that the tests run on: its ports, and what is installed there."""
    from evergreen.operations.doctor import examine as module

    examine = module.examine
    monkeypatch.setattr(
        module, "examine", lambda patient: tuple(f for f in examine(patient, 20) if f.name not in names)
    )
