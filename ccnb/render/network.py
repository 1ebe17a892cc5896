"""What a run's list of hosts let through and refused."""

from __future__ import annotations

from collections.abc import Sequence

from ccnb.render.grid import Cell, Grid
from ccnb.render.text import duration, one_line, size
from ccnb.results import Connection, NetworkUse


def network_text(use: NetworkUse) -> Cell:
    """Return it in short, on one line."""
    allowed = f"{use.allowed} connection{'' if use.allowed == 1 else 's'} allowed"
    if not use.refused:
        return Cell(allowed)
    hosts = ", ".join(one_line(host, 80) for host in use.refused_hosts)
    return Cell(f"{allowed}, {use.refused} refused: {hosts}", "yellow")


def network_table(connections: Sequence[Connection]) -> Grid:
    """Return all connections, a row for each."""
    headings = ("at", "host", "port", "", "why", "sent", "received", "time")
    rows = [_row(connection) for connection in connections]
    return Grid(headings, rows, right=frozenset({2, 5, 6, 7}), cut=1)


def _row(connection: Connection) -> list[str | Cell]:
    sent, received = (connection.bytes_up, connection.bytes_down)
    return [
        connection.at.astimezone().strftime("%H:%M:%S"),
        one_line(connection.host, 80),
        str(connection.port),
        Cell("allowed", "green") if connection.allowed else Cell("refused", "yellow"),
        one_line(connection.reason, 80) + (f" ({connection.count} times)" if connection.count > 1 else ""),
        "" if sent is None else size(sent),
        "" if received is None else size(received),
        "" if connection.duration_s is None else duration(connection.duration_s),
    ]
