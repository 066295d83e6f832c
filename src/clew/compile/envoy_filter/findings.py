"""What there is to say of patches that change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clew.compile.envoy_filter.patches import Applied, problem_of
from clew.model.diagnostic import Diagnostic, Place, Severity
from clew.model.envoy_filter import ApplyTo
from clew.snapshot.envoy_filters import SelectedPatch

_RESTART = "a change of it takes effect when the proxy starts again"


def patches_with_problems(patches: Iterable[SelectedPatch]) -> Iterator[Diagnostic]:
    """Yield one finding for each patch that is left out, because Envoy could not take it."""
    for each in patches:
        if problem := problem_of(each.patch):
            hint = "the other patches of this EnvoyFilter are applied"
            yield _finding(each, Severity.WARNING, f"this patch is left out: {problem}", hint)
        elif each.patch.apply_to is ApplyTo.BOOTSTRAP:
            yield _finding(each, Severity.INFO, "it patches what proxies start with", _RESTART)


def patches_that_match_nothing(
    patches: Iterable[SelectedPatch], applied: Applied
) -> Iterator[Diagnostic]:
    """Yield one finding for each patch that has changed nothing of a proxy's configuration."""
    for each in patches:
        starts_with = each.patch.apply_to is ApplyTo.BOOTSTRAP and each.meant
        if applied[each.key] or starts_with or problem_of(each.patch):
            continue
        hint = "compare its match with what `clew compile` prints, which has all names and ports"
        yield _finding(each, Severity.WARNING, "this patch matches nothing", hint)


def _finding(each: SelectedPatch, severity: Severity, problem: str, hint: str) -> Diagnostic:
    place = Place(resource=each.filter, field=f"spec.configPatches[{each.index}]")
    return Diagnostic(severity=severity, place=place, problem=problem, hint=hint)
