"""The xDS working group's protocol scenarios, for both protocols, against our streams.

Steps are sentences; each pattern below is one sentence. What is heard is read after every step of
the control plane or the client, and answered with an ACK.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from clew.model.xds import CLUSTER, ENDPOINTS, LISTENER, ROUTE, EnvoyResource, TypeUrl
from tests.corpora.conftest import Score
from tests.corpora.corpus import cases
from tests.xds.conversation import DeltaConversation, SotwConversation

TYPES = {"CDS": CLUSTER, "EDS": ENDPOINTS, "LDS": LISTENER, "RDS": ROUTE}
Said = tuple[TypeUrl, dict[str, Any]]


class Harness:
    def __init__(self, *, delta: bool) -> None:
        self.delta = DeltaConversation()
        self.sotw = SotwConversation()
        self.conversation = self.delta if delta else self.sotw
        self.published: dict[TypeUrl, dict[str, EnvoyResource]] = {}
        self.unread: list[Said] = []
        self.last: list[Said] = []

    def listen(self) -> None:
        self.unread += self.conversation.heard_and_acked()

    def publish(self, services: str, names: str, version: str | None) -> None:
        for service in services.split(","):
            by_name = dict(self.published.get(TYPES[service], {}))
            for name in names.split(","):
                by_name.pop(name, None)
                if version is not None:
                    by_name[name] = EnvoyResource(name, version, f"{name}={version}".encode())
            self.published[TYPES[service]] = by_name
        self.conversation.publish(dict(self.published))
        self.listen()

    def subscribe(self, service: str, names: str) -> None:
        wanted = tuple(filter(None, names.split(",")))
        self.conversation.subscribes(TYPES[service], *wanted)
        self.listen()

    def unsubscribe(self, service: str, name: str) -> None:
        self.delta.unsubscribes(TYPES[service], name)
        self.listen()

    def receives(self, service: str, names: str, version: str) -> None:
        """All of these have come by now; those of this version at the latest in this step.

        A state-of-the-world response also repeats resources whose version did not change.
        """
        self.last = [said for said in self.unread if said[0] == TYPES[service]]
        self.unread = [said for said in self.unread if said[0] != TYPES[service]]
        heard: dict[str, Any] = {}
        for _, versions in self.last:
            heard |= versions
        assert sorted(heard) == sorted(names.split(","))
        assert version in heard.values()

    def receives_removal(self, service: str, name: str) -> None:
        assert self.unread.pop() == (TYPES[service], {name: None})

    def receives_nothing(self) -> None:
        assert self.unread == []

    def came_in_one_response(self) -> None:
        assert len(self.last) == 1


STEPS: dict[str, Callable[..., None]] = {
    r"a target setup with (?:multiple )?services? (\S+), (?:each with )?resources (\S+), and "
    r"starting version (\S+)": Harness.publish,
    r"the Client does a wildcard subscription to (\S+)": lambda h, service: h.subscribe(
        service, ""
    ),
    r"the Client subscribes to resources (\S+) for (\S+)": lambda h, names, service: h.subscribe(
        service, names
    ),
    r"the Client updates subscription to a resource\((\S+)\) of (\S+) with version \S+": (
        lambda h, name, service: h.subscribe(service, name)
    ),
    r"the Client unsubscribes from resource (\S+) for service (\S+)": (
        lambda h, name, service: h.unsubscribe(service, name)
    ),
    r"the resource (\S+) of service (\S+) is updated to version (\S+)": (
        lambda h, name, service, version: h.publish(service, name, version)
    ),
    r"the resource (\S+) is added to the (\S+) with version (\S+)": (
        lambda h, name, service, version: h.publish(service, name, version)
    ),
    r"the resource (\S+) is removed from the (\S+)": lambda h, name, service: h.publish(
        service, name, None
    ),
    r"the Client receives (?:only )?the resources? (\S+) and version (\S+) for (?:the service )?"
    r"(\S+)": lambda h, names, version, service: h.receives(service, names, version),
    r"the Client receives notice that resource (\S+) was removed for service (\S+)": (
        lambda h, name, service: h.receives_removal(service, name)
    ),
    r"the resources \S+ and version \S+ for \S+ came in a single response": (
        Harness.came_in_one_response
    ),
    r"the client does not receive resource \S+ of service \S+ at version \S+": (
        Harness.receives_nothing
    ),
    r"for service \S+, no resource other than \S+ has same version or nonce": (
        Harness.came_in_one_response
    ),
    r"the service never responds more than necessary": Harness.receives_nothing,
}


def scenarios() -> Iterator[Any]:
    """Each scenario with each of its examples, once per protocol that it is about."""
    for case in cases("xds-protocol"):
        for number, example in enumerate(case["examples"]):
            for protocol in ("@sotw", "@incremental"):
                if protocol in case["tags"]:
                    steps = [_filled(step, example) for step in case["steps"]]
                    yield f"{case['id']}-{number}{protocol}", protocol, steps


def _filled(step: str, example: dict[str, str]) -> str:
    for name, value in example.items():
        step = step.replace(f"<{name}>", value)
    return re.sub(r"^(Given|When|Then|And) ", "", step)


def run(harness: Harness, sentence: str) -> None:
    for pattern, step in STEPS.items():
        if match := re.fullmatch(pattern, sentence):
            step(harness, *match.groups())
            return
    raise AssertionError(f"no step for: {sentence}")


def failure(protocol: str, steps: list[str]) -> str:
    """The step that does not hold and why, or nothing."""
    harness = Harness(delta=protocol == "@incremental")
    for sentence in steps:
        try:
            run(harness, sentence)
        except AssertionError as error:
            return f"{sentence}: {error}"
    return ""


def test_every_scenario_of_the_working_group_holds(score: Score) -> None:
    found = [(name, failure(protocol, steps)) for name, protocol, steps in scenarios()]
    score("xds-protocol", len(found), [f"{name}: {why}" for name, why in found if why], 1.0)
