"""The tables, and the steps from each older version to this one."""

from __future__ import annotations

import sqlite3

from ccnb.errors import StoreError

MIGRATIONS = (
    """
    CREATE TABLE runs (
        run INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL UNIQUE,
        mode TEXT NOT NULL,
        state TEXT NOT NULL,
        outcome TEXT,
        created_at REAL NOT NULL,   -- unix seconds
        ended_at REAL,
        spec TEXT NOT NULL,         -- JSON, without the values of secrets
        fingerprint TEXT NOT NULL,  -- the same for specs that ask for the same
        progress TEXT NOT NULL,     -- JSON: what a process that attaches must know
        offset INTEGER NOT NULL DEFAULT 0,  -- bytes of the agent's output that are in `events`
        digest BLOB NOT NULL DEFAULT x'',   -- chained over those lines
        record TEXT                 -- JSON of the finished run
    );
    CREATE INDEX runs_fingerprint ON runs (fingerprint, created_at);
    CREATE TABLE events (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        offset INTEGER NOT NULL,    -- the byte at which the event's line begins
        arrived_at REAL NOT NULL,
        at REAL NOT NULL,
        type TEXT NOT NULL,
        subtype TEXT,
        message_id TEXT,
        parent_tool_use_id TEXT,
        tool_use_id TEXT,           -- of the first tool use or result in it
        tool_name TEXT,
        is_error INTEGER,
        raw TEXT NOT NULL,          -- the message as received, redacted
        PRIMARY KEY (run, offset)
    ) WITHOUT ROWID;
    CREATE TABLE places (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        mode TEXT NOT NULL,
        place TEXT NOT NULL,        -- JSON
        created_at REAL NOT NULL,
        removed_at REAL
    );
    CREATE INDEX places_left ON places (removed_at) WHERE removed_at IS NULL;
    """,
    """
    CREATE TABLE calls (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        call INTEGER NOT NULL,      -- in the order in which they ended
        at REAL NOT NULL,           -- when it began
        model TEXT,
        status INTEGER,             -- HTTP; null when the agent left before there was one
        stream INTEGER NOT NULL,
        retries INTEGER NOT NULL,   -- how often in a row the same request had failed before
        first_byte_s REAL,
        duration_s REAL,
        input_tokens INTEGER,
        output_tokens INTEGER,
        cache_creation_input_tokens INTEGER,
        cache_read_input_tokens INTEGER,
        cost_usd REAL,              -- list prices; null for a model that has none here
        turn INTEGER,               -- of a script
        "end" TEXT NOT NULL,        -- complete, cut, or left (by the agent)
        refused TEXT,               -- why the gateway itself refused
        PRIMARY KEY (run, call)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE comparisons (
        comparison INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        created_at REAL NOT NULL,   -- unix seconds
        matrix TEXT NOT NULL        -- JSON: the arms, how often, and the seed of their order
    );
    CREATE TABLE attempts (
        comparison INTEGER NOT NULL REFERENCES comparisons ON DELETE CASCADE,
        number INTEGER NOT NULL,    -- of the row, in the order in which rows begin
        attempt INTEGER NOT NULL,
        run_id TEXT NOT NULL,       -- written down before the run is: it may not be in `runs`
        PRIMARY KEY (comparison, number, attempt)
    ) WITHOUT ROWID;
    """,
    # Without a rowid a whole event is the key of its row, and a search reads all of each one that it passes:
    # an event of 10 MB cost every later run as much memory, in each of its threads.
    """
    ALTER TABLE events RENAME TO events_by_key;
    CREATE TABLE events (
        run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE,
        offset INTEGER NOT NULL,    -- the byte at which the event's line begins
        arrived_at REAL NOT NULL,
        at REAL NOT NULL,
        type TEXT NOT NULL,
        subtype TEXT,
        message_id TEXT,
        parent_tool_use_id TEXT,
        tool_use_id TEXT,           -- of the first tool use or result in it
        tool_name TEXT,
        is_error INTEGER,
        raw TEXT NOT NULL,          -- the message as received, redacted
        PRIMARY KEY (run, offset)
    );
    INSERT INTO events SELECT * FROM events_by_key ORDER BY run, offset;
    DROP TABLE events_by_key;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to this version, each step in a transaction of its own.

    Raises
    ------
    StoreError
        It was written by a newer ccnb.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise StoreError(
            f"the store has version {version}, this ccnb knows {len(MIGRATIONS)}; upgrade ccnb-toolkit"
        )
    for number in range(version, len(MIGRATIONS)):
        # Another process may do the same at this moment: the lock is taken first, then the version read.
        connection.execute("BEGIN EXCLUSIVE")
        if connection.execute("PRAGMA user_version").fetchone()[0] == number:
            for statement in MIGRATIONS[number].split(";\n"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("COMMIT")
