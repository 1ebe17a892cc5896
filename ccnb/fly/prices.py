"""What a machine costs: Fly.io's published prices as data, with their date."""

from __future__ import annotations

import math
from dataclasses import dataclass

AS_OF = "2025-10"
"""When the table was written down; https://fly.io/docs/about/pricing has today's prices."""

_SHARED_CPU_USD = 0.0027
_PERFORMANCE_CPU_USD = 0.0430
"""An hour of one cpu with the least memory that it can have."""
_MEMORY_GB_USD = 0.0069
"""An hour of each GB beyond that."""
_LEAST_MB = {"shared": 256, "performance": 2048}
_MOST_MB = {"shared": 2048, "performance": 8192}
_SHARED_CPUS = (1, 2, 4, 8)
_PERFORMANCE_CPUS = (1, 2, 4, 8, 16)
_STEP_MB = 256


@dataclass(frozen=True)
class Guest:
    """The size of a machine."""

    cpu_kind: str
    cpus: int
    memory_mb: int

    @property
    def usd_per_hour(self) -> float:
        """Return an estimate of what an hour costs."""
        cpu = _SHARED_CPU_USD if self.cpu_kind == "shared" else _PERFORMANCE_CPU_USD
        beyond_mb = self.memory_mb - self.cpus * _LEAST_MB[self.cpu_kind]
        return self.cpus * cpu + beyond_mb / 1024 * _MEMORY_GB_USD

    def __str__(self) -> str:
        return f"{self.cpu_kind}-cpu-{self.cpus}x, {self.memory_mb} MB"


def smallest_guest(cpus: float, memory_mb: int) -> Guest | None:
    """Return the smallest size that has at least so much; `None` when there is none so large."""
    memory_mb = math.ceil(memory_mb / _STEP_MB) * _STEP_MB
    for kind, sizes in (("shared", _SHARED_CPUS), ("performance", _PERFORMANCE_CPUS)):
        for size in sizes:
            if size >= cpus and size * _MOST_MB[kind] >= memory_mb:
                return Guest(kind, size, max(memory_mb, size * _LEAST_MB[kind]))
    return None
