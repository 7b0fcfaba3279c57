"""Runs a method on rows alone and in batches, and compares the results.

cli/check calls it for each runner of a service.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from headway.config.schema import RunnerConfig
from headway.core.method_spec import MethodSpec
from headway.errors import UsageError
from headway.ipc.call import CallEncoder, agreed_rows, row_arguments
from headway.server.runner_assembly import load_model
from headway.service.runnable import Runnable, read_samples
from headway.service.runner import Runner
from headway.tools.check.check_result import (
    CHANGES,
    RANDOM,
    SAME_RESULTS,
    SAME_ROWS,
    CheckResult,
    Deviation,
    Finding,
    RowMismatch,
    describe_deviations,
    describe_mismatches,
)
from headway.tools.check.difference import Difference, Tolerance, difference
from headway.tools.check.method_caller import CallFailure, MethodCaller
from headway.tools.check.sample_rows import Row, split, variants

_ROUNDING_FACTOR = 10.0
_NO_SAMPLE = (
    'it has no sample: save the model with `signatures={"METHOD": {"batchable": True, '
    '"sample": X[:1]}}`, or return one from the runnable\'s warmup_samples()'
)


class _Case(msgspec.Struct, frozen=True):
    """A row to put into batches, and its result alone."""

    number: int
    row: Row
    result: Any


def check_runner(
    runner: Runner, settings: RunnerConfig, rows: int, tolerance: Tolerance
) -> Iterator[tuple[str, CheckResult]]:
    """Check the methods of a runner; its model is loaded only if one is batched.

    Args:
        runner: The runner.
        settings: Its configuration.
        rows: Rows in the largest batch, up to max_batch_size.
        tolerance: Allowed difference between numbers.

    Yields:
        Name and result of each method.
    """
    specs = {name: method.spec for name, method in runner.methods.items()}
    skipped = {name: _why_never_batched(spec, settings) for name, spec in specs.items()}
    if all(skipped.values()):
        yield from ((name, CheckResult(skipped=why)) for name, why in skipped.items())
        return
    runnable = load_model(runner)
    samples = read_samples(runner.name, runnable, specs)
    for name, spec in specs.items():
        if not skipped[name] and name not in samples:
            skipped[name] = _NO_SAMPLE.replace("METHOD", name)
        if skipped[name]:
            yield name, CheckResult(skipped=skipped[name])
            continue
        yield (
            name,
            check_method(
                runnable=runnable,
                spec=spec,
                sample=samples[name],
                rows=min(rows, settings.batching_of(name).max_batch_size),
                tolerance=tolerance,
            ),
        )


def _why_never_batched(spec: MethodSpec, settings: RunnerConfig) -> str:
    if not spec.batchable:
        return "it is not batchable"
    batching = settings.batching_of(spec.name)
    if not batching.enabled:
        return "the configuration turns batching off"
    return "max_batch_size is 1" if batching.max_batch_size == 1 else ""


def check_method(
    *,
    runnable: Runnable,
    spec: MethodSpec,
    sample: Sequence[Any],
    rows: int,
    tolerance: Tolerance,
) -> CheckResult:
    """Compare the method's results for single rows and for batches of them.

    Args:
        runnable: Object with the method.
        spec: How the method may be called.
        sample: Its positional arguments, with at least one row.
        rows: Rows in the largest batch, 2 or more.
        tolerance: Allowed difference between numbers.
    """
    try:
        CallEncoder().encode(
            spec, tuple(sample), {}
        )  # as for a call from an API function
        columns = row_arguments(spec, tuple(sample), {})
        count = agreed_rows(spec, columns)
    except UsageError as error:
        return CheckResult(findings=(Finding(error.message, "correct the sample"),))
    if not count:
        return CheckResult(
            skipped="its sample has no rows; calls without rows are not batched"
        )
    caller = MethodCaller(
        runnable=runnable, spec=spec, sample=sample, places=list(columns)
    )
    given = split(list(columns.values()), min(count, rows))
    varied = variants(given, rows - len(given))
    return _Check(caller, spec, tolerance).run(given, varied, rows)


class _Check:
    """The check of one method."""

    def __init__(
        self, caller: MethodCaller, spec: MethodSpec, tolerance: Tolerance
    ) -> None:
        self._caller = caller
        self._spec = spec
        self._tolerance = tolerance
        self._findings: dict[str, Finding] = {}
        """The first finding of each kind, by advice."""
        self._mismatches: list[RowMismatch] = []
        self._notes: list[str] = []
        self._is_comparable = True

    def run(
        self, given: Sequence[Row], varied: Sequence[Row], count: int
    ) -> CheckResult:
        cases = self._run_alone(given, varied)
        if not cases:
            return CheckResult(findings=tuple(self._findings.values()))
        batches = _batches([cases[at % len(cases)] for at in range(count)])
        found = [one for batch in batches for one in self._run_batch(batch)]
        if found:
            self._add(describe_deviations(found, len(cases)))
        if self._mismatches:
            self._add(describe_mismatches(self._mismatches, self._spec.batch_dim[0]))
        self._note_limits(cases)
        return CheckResult(
            findings=tuple(self._findings.values()),
            rows=_describe_rows(cases, len(given), count),
            batches=tuple(sorted({len(batch) for batch in batches})),
            notes=tuple(self._notes),
        )

    def _run_alone(self, given: Sequence[Row], varied: Sequence[Row]) -> list[_Case]:
        """Run each row twice alone; return the rows to try in batches."""
        cases = []
        refused = 0
        for number, row in enumerate([*given, *varied], start=1):
            try:
                result, again = (
                    self._caller.run([row], f"row {number} alone") for _ in range(2)
                )
            except CallFailure as failure:
                if failure.has_raised and number > len(given):
                    refused += 1
                    continue
                self._add_failure(failure)
                if not failure.has_raised:
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
            self._notes.append(
                f"the model refused {refused} changed rows; they are left out"
            )
        return cases

    def _run_batch(self, batch: Sequence[_Case]) -> list[Deviation]:
        size = len(batch)
        try:
            results = self._caller.run(
                [case.row for case in batch], f"a batch of {size} rows"
            )
        except CallFailure as failure:
            self._add_failure(failure)
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
        """Return whether the results are correct but in another order."""
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
        if self._caller.changes_arguments:
            self._notes.append(CHANGES)

    def _add_failure(self, failure: CallFailure) -> None:
        if isinstance(failure.problem, RowMismatch):
            self._mismatches.append(failure.problem)
        else:
            self._add(failure.problem)

    def _add(self, finding: Finding) -> None:
        self._findings.setdefault(finding.advice, finding)


def _batches(cases: Sequence[_Case]) -> list[Sequence[_Case]]:
    """Return all rows in order, all shuffled, and the shuffled rows in two parts."""
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
