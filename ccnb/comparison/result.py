"""What comes of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from ccnb import frames, stats
from ccnb.comparison import carry, fate, locks, spreads
from ccnb.comparison import summary as summaries
from ccnb.comparison.contrast import Contrast, check_metric, contrasts, counted, pairs_of
from ccnb.comparison.diff import Diff, diff
from ccnb.comparison.matrix import Matrix, Row
from ccnb.errors import ComparisonError, SpecError, did_you_mean
from ccnb.frames.compared import Frame, compared_frame, table
from ccnb.render import html, one_line
from ccnb.render.shown import Bundle, Shown, plain
from ccnb.runner.api import result_of
from ccnb.runner.handles import RunResult
from ccnb.store import Store, comparisons
from ccnb.store.comparisons import Attempt
from ccnb.store.tables import KeptRun

METRICS = ("passed", "wall_s")
"""What is looked at unasked."""


class Comparison(Shown):
    """Many runs of a matrix, as they stand in the store: what was made later is not in it."""

    def __init__(
        self,
        name: str,
        store: Store | None = None,
        *,
        stopped: str = "",
        warnings: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.stopped = stopped
        """Why rows were left out; empty where none were."""
        self.warnings = tuple(warnings)
        self._store = store or Store()
        known = comparisons.matrix_of(self._store, name)
        if known is None:
            raise ComparisonError(f"no comparison has the name {name!r}; {self._known()}")
        self._matrix = Matrix.from_dict(known)

    @property
    def axes(self) -> dict[str, tuple[str, ...]]:
        """Return the levels of each axis."""
        return dict(self._matrix.axes)

    @property
    def seed(self) -> int:
        """Return the seed of the order."""
        return self._matrix.seed

    @cached_property
    def frame(self) -> Frame:
        """Return one row for each run that was wanted, warm-up runs too, in the order in which they began.

        `counted` says whether it counts: warm-up runs, runs that failed for reasons other than the agent's,
        and what hasn't run yet don't. `attempts` says how many tries it took; the last is the one shown.
        """
        runs = list(self._runs.values())
        rows = [self._row(row) for row in self._matrix.rows()]
        return compared_frame(rows, runs, frames.kept_frame(runs))

    def summary(self) -> Frame:
        """Return one row for each arm: how many passed, how long they took, what they cost."""
        return summaries.summary(self.frame, self._labels, list(self.axes))

    def contrast(self, axis: str, a: str, b: str, *, metric: str = "wall_s") -> Contrast:
        """Set two levels of an axis against each other, in pairs of runs of the same block.

        p holds for the family of all pairs of that axis's levels.

        Raises
        ------
        SpecError
        """
        self._check_axis(axis)
        check_metric(self.frame, metric)
        for level in (a, b):
            if level not in self.axes[axis]:
                near = did_you_mean(level, self.axes[axis]) or f"; there are {', '.join(self.axes[axis])}"
                raise SpecError(f"{axis} has no level {level!r}{near}")
        if a == b:
            raise SpecError(f"{a!r} can't be set against itself; name two levels")
        # The one that is asked for takes the place of its twin in the other direction.
        family = [pair for pair in pairs_of(axis, self.axes[axis], metric) if {pair[1], pair[2]} != {a, b}]
        return contrasts(self.frame, list(self.axes), [(axis, a, b, metric), *family])[0]

    def contrasts(self, *, metrics: Sequence[str] = METRICS) -> list[Contrast]:
        """Return all contrasts of all axes; p holds for all of them together."""
        for metric in metrics:
            check_metric(self.frame, metric)
        wanted = [
            pair
            for axis in self._matrix.varying()
            for metric in metrics
            for pair in pairs_of(axis, self.axes[axis], metric)
        ]
        return contrasts(self.frame, list(self.axes), wanted) if wanted else []

    def power(self, effect: float = 0.1, *, metric: str = "wall_s") -> Frame:
        """Return what such a comparison can find, going by the spread that was seen within its arms.

        Parameters
        ----------
        effect
            The difference that is to be found: 0.1 for 10 %.

        Returns
        -------
        Frame
            For each arm `spread` (standard deviation of the logarithm), `repeats` so far, `power` (how often
            they find the effect), `detectable` (what they find four times in five), and `repeats_needed`.
        """
        check_metric(self.frame, metric)
        rows = counted(self.frame, metric)
        by_arm = {label: rows.loc[rows["arm"] == label, metric] for label in self._labels}
        return table({"arm": label, **spreads.power(values, effect)} for label, values in by_arm.items())

    def failures(self) -> Frame:
        """Return one row for each attempt that did not end in success, with its cause, repeated ones too."""
        columns = ("number", "block", "arm", "attempt", "run_id", "outcome", "counted", "error_kind", "error")
        rows = self._matrix.rows()
        failed = [
            self._failure(rows[attempt.number], attempt, run.record)
            for attempt in self._attempts
            if (run := self._runs.get(attempt.run_id)) is not None
            and run.record is not None
            and run.record["outcome"] != "success"
        ]
        return table(failed, columns)

    def agreement(self) -> Frame:
        """Return for each arm whether its repeats agree: in the verdict, in the files, in the answer.

        `verdict` and `files` are the shares of the most frequent one, `answers` the mean likeness of the
        answers of all pairs, word by word.
        """
        return table(self._agreement(label) for label in self._labels)

    def plot(self, metric: str = "wall_s", *, ax: Any = None) -> Any:
        """Draw every run that counts as a dot, by arm, with the median and its interval; return the Axes.

        `metric="agreement"` draws how alike the answers are, each against each.
        """
        from ccnb import plots

        if metric == "agreement":
            return plots.plot_similarity(frames.similarity_frame(self._some_results()), ax=ax)
        check_metric(self.frame, metric)
        rows = counted(self.frame, metric)
        bounds = {
            arm: stats.median(values.to_numpy(dtype=float))
            for arm, values in rows.groupby("arm", sort=False)[metric]
        }
        return plots.plot_arms(rows, bounds, metric=metric, order=self._labels, ax=ax)

    def diff(self, a: str | int, b: str | int) -> Diff:
        """Set two runs against each other, each given by its id or by its row's number."""
        return diff(self.result(a), self.result(b))

    def result(self, run: str | int) -> RunResult:
        """Return the result of a run, given by its id or by its row's number.

        Raises
        ------
        SpecError
        CcnbError
        """
        if isinstance(run, int):
            chosen = self.frame.loc[self.frame["number"] == run, "run_id"].dropna()
            if chosen.empty:
                raise SpecError(f"row {run} has no run; .frame has those that are there")
            run = str(chosen.iloc[0])
        return result_of(self._store.run(run))

    def results(self) -> list[RunResult]:
        """Return the results of all runs that count."""
        return list(self)

    def __iter__(self) -> Iterator[RunResult]:
        """Yield what `results` returns: so every frame is also made of a comparison."""
        return (self.result(run_id) for run_id in self.frame.loc[self.frame["counted"], "run_id"])

    def export(self, path: Path | str) -> Path:
        """Write all of it to one file, without secrets and without the workspaces; `load` reads it.

        Raises
        ------
        ComparisonError
        """
        return carry.export(self._store, self.name, Path(path))

    @property
    def lock_file(self) -> Path:
        """Return where its `comparison.lock` lies, once it has run."""
        return self._store.home / "comparisons" / self.name / "comparison.lock"

    def write_lock(self, path: Path | str | None = None) -> Path:
        """Write what `compare(lock=...)` needs to run the same matrix again; return the file.

        It has the matrix with its seed, the model, the digests of images and of what answered, and the
        agents' versions. Without a path it goes to `lock_file`.

        Raises
        ------
        ComparisonError
        """
        target = self.lock_file if path is None else Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        return locks.write(target, self.name, self._store)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Put a comparison that somebody exported into the store, and return it.

        Raises
        ------
        ComparisonError
        """
        store = Store()
        return cls(carry.load(store, Path(path)), store)

    @property
    def text(self) -> str:
        """Return in words what the numbers say."""
        return " ".join(self._sentences)

    @cached_property
    def _sentences(self) -> list[str]:
        return summaries.sentences(
            self.frame,
            self.summary(),
            self.contrasts(),
            seed=self.seed,
            concurrency=self._matrix.concurrency,
            stopped=self.stopped,
            added=self._added(),
        )

    def _added(self) -> str:
        """Return in words why some arms have more repeats; empty where none were to be added."""
        matrix = self._matrix
        if not matrix.max_repeats:
            return ""
        rule = f"{100 * matrix.precision:g} % of its median"
        return (
            f"{len(matrix.further)} of these blocks were added, up to {matrix.max_repeats}, while an arm's "
            f"interval reached further than {rule}; p had no part in that"
        )

    def __repr__(self) -> str:
        return plain(summaries.grid(self.summary()), 120) + "\n\n" + "\n".join(self._sentences)

    def _bundle(self) -> Bundle:
        words = f'<p style="max-width:50em">{html.escaped(self.text)}</p>'
        picture = f'<img alt="wall time of each run" src="data:image/png;base64,{self._picture()}">'
        grid = html.table(summaries.grid(self.summary()))
        return {"text/plain": repr(self), "text/html": f"<div>{grid}{picture}{words}</div>"}

    # What it is made of

    @cached_property
    def _labels(self) -> list[str]:
        return self._matrix.labels()

    @cached_property
    def _attempts(self) -> list[Attempt]:
        return comparisons.attempts(self._store, self.name)

    @cached_property
    def _latest(self) -> dict[int, Attempt]:
        return {attempt.number: attempt for attempt in self._attempts}

    @cached_property
    def _runs(self) -> dict[str, KeptRun]:
        return comparisons.kept(self._store, self.name)

    def _row(self, row: Row) -> dict[str, Any]:
        arm = self._matrix.arms[row.arm]
        attempt = self._latest.get(row.number)
        run = self._runs.get(attempt.run_id) if attempt else None
        return {
            "number": row.number,
            "block": row.block,
            "warmup": row.warmup,
            "arm": self._labels[row.arm],
            **arm.labels,
            "attempts": attempt.attempt + 1 if attempt else 0,
            "counted": not row.warmup and _counts(run),
            "run_id": run.run_id if run else None,
        }

    def _failure(self, row: Row, attempt: Attempt, record: dict[str, Any]) -> dict[str, Any]:
        error = record.get("error") or {}
        return {
            "number": row.number,
            "block": row.block,
            "arm": self._labels[row.arm],
            "attempt": attempt.attempt,
            "run_id": attempt.run_id,
            "outcome": record["outcome"],
            "counted": _counts(self._runs[attempt.run_id]),
            "error_kind": error.get("kind"),
            "error": one_line(error.get("message") or "", 200),
        }

    def _agreement(self, label: str) -> dict[str, Any]:
        rows = self.frame[self.frame["counted"] & (self.frame["arm"] == label)]
        records = [self._runs[run_id].record or {} for run_id in rows["run_id"]]
        some = [self.result(run_id) for run_id in rows["run_id"][: spreads.MOST_ALIKE]]
        return {"arm": label, **spreads.agreement(records, list(rows["passed"]), some)}

    def _some_results(self) -> list[RunResult]:
        rows = self.frame[self.frame["counted"]]
        return [
            self.result(run_id)
            for run_id in rows.groupby("arm", sort=False).head(spreads.MOST_ALIKE)["run_id"]
        ]

    def _picture(self) -> str:
        from ccnb import plots

        return plots.as_png(self.plot())

    def _check_axis(self, axis: str) -> None:
        if axis not in self.axes:
            near = did_you_mean(axis, self.axes) or f"; there are {', '.join(self.axes)}"
            raise SpecError(f"{axis!r} is no axis of this comparison{near}")

    def _known(self) -> str:
        names = [name for name, _ in comparisons.names(self._store)[:5]]
        return f"there are {', '.join(names)}" if names else "there is none yet; ccnb.compare makes one"


def _counts(run: KeptRun | None) -> bool:
    if run is None or run.record is None:
        return False
    return fate.counts(run.record["outcome"], run.record["spec"].get("budget_group"))
