"""A figure, and figures as a table and as JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One measured number, its target, and whether it was met."""

    name: str
    value: float
    unit: str
    target: str
    met: bool
    detail: str = ""
