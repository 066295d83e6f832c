from clew.local.visit import (
    Visit,
    program_environment,
    selects,
    visiting_service,
    visiting_workload,
)
from clew.local.workloads import RUN_BY, pod_labels

VISIT = Visit(command=("python", "r.py"), name="reviews", version="v4", port=9080)
HTTP = {"http": 9080}


def test_a_program_is_a_bare_pod_that_names_its_runner() -> None:
    workload = visiting_workload(VISIT, process="12:345")
    assert (workload.owner.kind, workload.name) == ("Pod", "reviews-v4-12")
    assert workload.template.metadata.annotations == {RUN_BY: "12:345"}
    labels = pod_labels(workload)
    assert (labels["app"], labels["version"]) == ("reviews", "v4")
    assert labels["security.istio.io/tlsMode"] == "istio"


def test_its_service_selects_it_by_app() -> None:
    service = visiting_service(VISIT)
    assert selects(service, visiting_workload(VISIT, process="1:1"))
    other = Visit(command=("a",), name="ratings")
    assert not selects(service, visiting_workload(other, process="1:1"))
    assert not selects({"spec": {}}, visiting_workload(VISIT, process="1:1"))


def test_the_terminals_variables_are_kept_but_for_proxies_and_port() -> None:
    terminal = {"A": "a", "https_proxy": "http://corp", "HTTP_PROXY": "http://corp", "PORT": "1"}
    assert program_environment(VISIT, terminal, HTTP, {}) == {"A": "a", "PORT": "9080"}
    moved = program_environment(VISIT, terminal, HTTP, {9080: 21000})
    assert moved["PORT"] == "21000"


def test_what_is_asked_for_wins() -> None:
    visit = Visit(command=("a",), name="a", port=80, env={"PORT": "5", "A": "b"})
    assert program_environment(visit, {"A": "a"}, {"http": 80}, {}) == {"A": "b", "PORT": "5"}
