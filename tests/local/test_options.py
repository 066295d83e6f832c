import os
from pathlib import Path

import pytest

from clew.local.options import BadManifests, UpOptions, check_manifests
from tests.local.objects import WEB


def options(*texts: str, **fields: object) -> UpOptions:
    manifests = tuple((f"{number}.yaml", text) for number, text in enumerate(texts))
    given: dict[str, object] = {"manifests": manifests, "environ": os.environ}
    return UpOptions(**{**given, **fields})  # type: ignore[arg-type]  # fields by name


def test_good_manifests_give_their_workloads() -> None:
    found = check_manifests(options(WEB, images={"acme/web": ("sleep",)}))
    assert [str(workload.owner) for workload in found] == ["Deployment shop/web"]


def test_every_problem_is_named_with_its_place_not_the_first_only() -> None:
    bad = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\nspec: {}\n"
    )
    with pytest.raises(BadManifests) as caught:
        check_manifests(options(bad, WEB, f"a: [\n---\n{WEB}"))
    text = str(caught.value)
    for part in ("0.yaml:", "1.yaml:9:7: Error Deployment shop/web", "2.yaml:", "acme/web:1"):
        assert part in text
    assert text.endswith("Nothing was started.")


def test_programs_are_looked_for_from_where_up_is_started(tmp_path: Path) -> None:
    images = {"acme/web": ("./serve",)}
    with pytest.raises(BadManifests, match=r"'\./serve'"):
        check_manifests(options(WEB, images=images, working_dir=str(tmp_path)))
    (tmp_path / "serve").touch(mode=0o755)
    assert check_manifests(options(WEB, images=images, working_dir=str(tmp_path)))
