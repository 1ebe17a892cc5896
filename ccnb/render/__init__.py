"""How values look: renderables for a terminal, which are plain text where there are no colours."""

from ccnb.render.events import event_lines, retry_text, tool_summary
from ccnb.render.grid import Cell, Grid
from ccnb.render.machine import doctor_table, facts_table, readiness_table, sandboxes_table
from ccnb.render.network import network_table
from ccnb.render.runs import (
    ListedRun,
    comparison,
    file_list,
    files_table,
    phase_bar,
    runs_table,
    status_line,
    summary,
    timing_text,
    verdict,
)
from ccnb.render.text import count, duration, harmless, money, number, one_line, size
from ccnb.render.token import token_table

__all__ = [
    "Cell",
    "Grid",
    "ListedRun",
    "comparison",
    "count",
    "doctor_table",
    "duration",
    "event_lines",
    "facts_table",
    "file_list",
    "files_table",
    "harmless",
    "money",
    "network_table",
    "number",
    "one_line",
    "phase_bar",
    "readiness_table",
    "retry_text",
    "runs_table",
    "sandboxes_table",
    "size",
    "status_line",
    "summary",
    "timing_text",
    "token_table",
    "tool_summary",
    "verdict",
]
