"""What there is to say of patches that change nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from clew.compile.envoy_filter.patches import Applied, problem_of
from clew.model.diagnostic import Diagnostic, Place, Severity
from clew.model.envoy_filter import ApplyTo
from clew.snapshot.envoy_filters import SelectedPatch


def patches_with_problems(patches: Iterable[SelectedPatch]) -> Iterator[Diagnostic]:
    """Yield one finding for each patch that is left out, because Envoy could not take it."""
    for each in patches:
        if problem := problem_of(each.patch):
            hint = "the other patches of this EnvoyFilter are applied"
            yield _finding(each, Severity.WARNING, f"this patch is left out: {problem}", hint)


def patches_that_match_nothing(
    patches: Iterable[SelectedPatch], applied: Applied
) -> Iterator[Diagnostic]:
    """Yield one finding for each patch that has changed nothing of a proxy's configuration."""
    for each in patches:
        if applied[each.key] or problem_of(each.patch) or _is_for_starts(each):
            continue
        hint = "compare its match with what `clew compile` prints, which has all names and ports"
        yield _finding(each, Severity.WARNING, "this patch matches nothing", hint)


def patches_at_start(patches: Iterable[SelectedPatch]) -> Iterator[Diagnostic]:
    """Yield one finding for each patch that running proxies do not have before they start again."""
    for each in patches:
        if _is_for_starts(each) and not problem_of(each.patch):
            hint = "delete a workload's Pod to have it started again"
            yield _finding(each, Severity.INFO, "a proxy takes this patch when it starts", hint)


def _is_for_starts(each: SelectedPatch) -> bool:
    return each.meant and each.patch.apply_to is ApplyTo.BOOTSTRAP


def _finding(each: SelectedPatch, severity: Severity, problem: str, hint: str) -> Diagnostic:
    place = Place(resource=each.filter, field=f"spec.configPatches[{each.index}]")
    return Diagnostic(severity=severity, place=place, problem=problem, hint=hint)
