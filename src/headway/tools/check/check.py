"""Runs a method on rows alone and in batches, and says where the results differ.

cli/check calls it for each batchable method of a service.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from headway.core.method_spec import MethodSpec
from headway.errors import UsageError
from headway.ipc.call import CallEncoder, agreed_rows, row_arguments
from headway.service.runnable import Runnable
from headway.tools.check.difference import Difference, Tolerance, difference
from headway.tools.check.sample_rows import Row, split, variants
from headway.tools.check.trial import Fault, Trial
from headway.tools.check.verdict import (
    CHANGES,
    RANDOM,
    SAME_RESULTS,
    SAME_ROWS,
    Deviation,
    Finding,
    Misfit,
    Verdict,
    describe_deviations,
    describe_misfits,
)

__all__ = ["check_method"]

_ROUNDING_FACTOR = 10.0


class _Case(msgspec.Struct, frozen=True):
    """A row that can be put into batches, and what it gave alone."""

    number: int
    row: Row
    result: Any


def check_method(
    *,
    runnable: Runnable,
    spec: MethodSpec,
    sample: Sequence[Any],
    rows: int,
    tolerance: Tolerance,
) -> Verdict:
    """Compare the method's results for single rows and for batches of them.

    Args:
        runnable: Has the method.
        spec: How it may be called.
        sample: Its positional arguments, with a row or more.
        rows: Rows in the largest batch, 2 or more.
        tolerance: How far numbers may be apart.
    """
    try:
        CallEncoder().encode(spec, tuple(sample), {})  # as an API function's call is
        columns = row_arguments(spec, tuple(sample), {})
        count = agreed_rows(spec, columns)
    except UsageError as error:
        return Verdict(findings=(Finding(error.message, "mend the sample"),))
    if not count:
        return Verdict(skipped="its sample has no rows; such calls share no batches")
    trial = Trial(runnable=runnable, spec=spec, sample=sample, places=list(columns))
    given = split(list(columns.values()), min(count, rows))
    varied = variants(given, rows - len(given))
    return _Check(trial, spec, tolerance).run(given, varied, rows)


class _Check:
    """One method's check as it goes on."""

    def __init__(self, trial: Trial, spec: MethodSpec, tolerance: Tolerance) -> None:
        self._trial = trial
        self._spec = spec
        self._tolerance = tolerance
        self._findings: dict[str, Finding] = {}
        """The first of each kind, by advice."""
        self._misfits: list[Misfit] = []
        self._notes: list[str] = []
        self._is_comparable = True

    def run(self, given: Sequence[Row], varied: Sequence[Row], count: int) -> Verdict:
        cases = self._run_alone(given, varied)
        if not cases:
            return Verdict(findings=tuple(self._findings.values()))
        batches = _batches([cases[at % len(cases)] for at in range(count)])
        found = [one for batch in batches for one in self._run_batch(batch)]
        if found:
            self._add(describe_deviations(found, len(cases)))
        if self._misfits:
            self._add(describe_misfits(self._misfits, self._spec.batch_dim[0]))
        self._note_limits(cases)
        return Verdict(
            findings=tuple(self._findings.values()),
            rows=_describe_rows(cases, len(given), count),
            batches=tuple(sorted({len(batch) for batch in batches})),
            notes=tuple(self._notes),
        )

    def _run_alone(self, given: Sequence[Row], varied: Sequence[Row]) -> list[_Case]:
        """Run each row twice by itself; return those that a batch should take too."""
        cases = []
        refused = 0
        for number, row in enumerate([*given, *varied], start=1):
            try:
                result, again = (
                    self._trial.run([row], f"row {number} alone") for _ in range(2)
                )
            except Fault as fault:
                if fault.has_raised and number > len(given):
                    refused += 1
                    continue
                self._add_fault(fault)
                if not fault.has_raised:
                    self._is_comparable = False
                    cases.append(_Case(number, row, None))
                continue
            cases.append(_Case(number, row, result[0]))
            apart = self._apart(result[0], again[0])
            if apart is not None:
                self._is_comparable = False
                what = f"row {number} alone gave {apart.expected}, then {apart.found}"
                self._add(Finding(what, RANDOM))
        if refused:
            self._notes.append(f"the model refused {refused} changed rows; left out")
        return cases

    def _run_batch(self, batch: Sequence[_Case]) -> list[Deviation]:
        size = len(batch)
        try:
            results = self._trial.run(
                [case.row for case in batch], f"a batch of {size} rows"
            )
        except Fault as fault:
            self._add_fault(fault)
            return []
        if not self._is_comparable:
            return []
        apart = [
            (case, result, one)
            for case, result in zip(batch, results, strict=True)
            if (one := self._apart(case.result, result)) is not None
        ]
        is_mixed_up = bool(apart) and self._is_permuted(batch, results)
        return [
            Deviation(
                number=case.number,
                batch=size,
                difference=one,
                is_close=self._apart(case.result, result, _ROUNDING_FACTOR) is None,
                is_mixed_up=is_mixed_up,
            )
            for case, result, one in apart
        ]

    def _apart(
        self, expected: Any, found: Any, factor: float = 1.0
    ) -> Difference | None:
        rtol, atol = self._tolerance.rtol * factor, self._tolerance.atol * factor
        return difference(expected, found, Tolerance(rtol, atol))

    def _is_permuted(self, batch: Sequence[_Case], results: Sequence[Any]) -> bool:
        """Return whether the results are those of the batch's rows in another order."""
        left = list(results)
        for case in batch:
            for at, result in enumerate(left):
                if self._apart(case.result, result) is None:
                    del left[at]
                    break
            else:
                return False
        return True

    def _note_limits(self, cases: Sequence[_Case]) -> None:
        if len(cases) == 1:
            self._notes.append(SAME_ROWS)
        elif not self._findings and all(
            self._apart(cases[0].result, case.result) is None for case in cases
        ):
            self._notes.append(SAME_RESULTS)
        if self._trial.changes_arguments:
            self._notes.append(CHANGES)

    def _add_fault(self, fault: Fault) -> None:
        if isinstance(fault.problem, Misfit):
            self._misfits.append(fault.problem)
        else:
            self._add(fault.problem)

    def _add(self, finding: Finding) -> None:
        self._findings.setdefault(finding.advice, finding)


def _batches(cases: Sequence[_Case]) -> list[Sequence[_Case]]:
    """Return all rows in order, all shuffled, and those in two unequal parts."""
    shuffled = [*cases[1::2], *cases[::2]]
    cut = len(cases) // 2 + 1
    parts = (cases, shuffled, shuffled[:cut], shuffled[cut:])
    return [part for part in parts if len(part) > 1]


def _describe_rows(cases: Sequence[_Case], given: int, count: int) -> str:
    own = sum(case.number <= given for case in cases)
    kinds = [
        (own, "of the sample"),
        (len(cases) - own, "with its floats changed by up to half"),
        (count - len(cases), "repeated"),
    ]
    parts = ", ".join(f"{number} {kind}" for number, kind in kinds if number)
    return f"{count} rows ({parts})"
