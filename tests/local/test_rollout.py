from hypothesis import given
from hypothesis import strategies as st

from clew.local.rollout import Plan, Replica, plan_rollout
from clew.local.workloads import Workload
from tests.local.objects import WEB, read, web

NEW = web(("acme/web:1", "acme/web:2"))


def sized(replicas: int, kind: str = "Deployment") -> Workload:
    text = WEB.replace("replicas: 2", f"replicas: {replicas}")
    (workload,) = read(text.replace("kind: Deployment", f"kind: {kind}"))
    return workload


def replica(name: str, *, ready: bool = True, version: str = "") -> Replica:
    return Replica(name=name, version=version or web().version, ready=ready)


def name(ordinal: int) -> str:
    return f"web-{web().version}-{ordinal}"


def test_missing_replicas_start_under_free_names() -> None:
    assert plan_rollout(sized(3), [replica(name(1))], [name(0)]) == Plan(start=(name(2), name(3)))


def test_scaling_down_stops_first_what_does_not_serve() -> None:
    running = [replica(name(0)), replica(name(1), ready=False), replica(name(2))]
    assert plan_rollout(sized(2), running, []) == Plan(stop=(name(1),))
    assert set(plan_rollout(sized(0), running, []).stop) == {name(0), name(1), name(2)}


def test_a_new_replica_is_ready_before_an_old_one_stops() -> None:
    old = [replica("a", version="old"), replica("b", version="old")]
    first = plan_rollout(sized(2), old, [])
    assert first == Plan(start=(name(0),))
    waiting = [*old, replica(name(0), ready=False)]
    assert plan_rollout(sized(2), waiting, []) == Plan()
    ready = [*old, replica(name(0))]
    assert plan_rollout(sized(2), ready, []) == Plan(start=(name(1),), stop=("a",))


def test_an_old_replica_that_never_served_makes_room() -> None:
    old = [replica("a", version="old", ready=False), replica("b", version="old")]
    assert plan_rollout(sized(1), old, []).stop == ("a",)


def test_a_stateful_set_replaces_one_after_the_other_in_place() -> None:
    stateful = sized(2, "StatefulSet")
    old = [replica("web-0", version="old"), replica("web-1", version="old")]
    assert plan_rollout(stateful, old, []) == Plan(stop=("web-1",))
    assert plan_rollout(stateful, old[:1], ["web-1"]) == Plan()
    assert plan_rollout(stateful, old[:1], []) == Plan(start=("web-1",))
    assert plan_rollout(stateful, [old[0], replica("web-1", ready=False)], []) == Plan()
    assert plan_rollout(stateful, [old[0], replica("web-1")], []) == Plan(stop=("web-0",))


@given(st.integers(0, 9), st.integers(0, 9), st.data())
def test_a_rollout_ends_and_never_serves_with_fewer_than_before(
    before: int, wanted: int, data: st.DataObject
) -> None:
    workload = sized(wanted)
    running = {f"old-{n}": replica(f"old-{n}", version="old") for n in range(before)}
    enough = min(before, wanted)
    for _ in range(100):
        plan = plan_rollout(workload, running.values(), [])
        for stopped in plan.stop:
            del running[stopped]
        assert sum(r.ready for r in running.values()) >= enough
        for started in plan.start:
            running[started] = replica(started, ready=False)
        if plan == Plan() and all(r.ready for r in running.values()):
            break
        for waiting in [r.name for r in running.values() if not r.ready]:
            if data.draw(st.booleans()) or plan == Plan():
                running[waiting] = replica(waiting)
    assert len(running) == wanted
    assert all(r.version == workload.version for r in running.values())
