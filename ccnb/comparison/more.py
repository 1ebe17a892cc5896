"""More repeats where an interval is wide: decided by its width alone, and never by p."""

from __future__ import annotations

import math
from dataclasses import replace

from ccnb.comparison.matrix import Matrix
from ccnb.comparison.result import Comparison
from ccnb.frames.compared import Frame
from ccnb.store import Store, comparisons


def add_block(name: str, store: Store, matrix: Matrix) -> Matrix | None:
    """Add a block to a comparison whose rows are all done; `None` where no interval is wide any more.

    The block has the arms whose interval is wide and those that they are set against, since a difference is
    seen in pairs of one block. It is written down before it is begun, so that whoever goes on has the same.
    """
    if matrix.repeats + len(matrix.further) >= matrix.max_repeats:
        return None
    wide = wide_arms(Comparison(name, store).summary(), matrix.precision)
    arms = matrix.with_partners(wide)
    if not arms:
        return None
    longer = replace(matrix, further=(*matrix.further, arms))
    comparisons.replace(store, name, longer.to_dict())
    return longer


def wide_arms(summary: Frame, precision: float) -> list[int]:
    """Return the arms whose median wall time is not known well enough, by their place in the summary.

    An arm of which no run succeeded has no time, and no number of repeats would give it one.
    """
    return [
        number
        for number, row in enumerate(summary.to_dict("records"))
        if not math.isnan(row["wall_s"]) and not is_narrow(row, precision)
    ]


def is_narrow(row: dict[str, float], precision: float) -> bool:
    """Return whether an arm's interval reaches no further from its median than it may."""
    if math.isnan(row["wall_s_low"]):
        return False
    reach = max(row["wall_s_high"] - row["wall_s"], row["wall_s"] - row["wall_s_low"])
    return bool(reach <= precision * row["wall_s"])
