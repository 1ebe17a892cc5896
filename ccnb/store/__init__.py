"""Runs on disk: one SQLite file, and a folder for each run beside it."""

from ccnb.store.database import Store
from ccnb.store.events import Events
from ccnb.store.folders import FollowerLock, RunFolder, folder_size, home, store_label
from ccnb.store.rows import Progress, RunRow

__all__ = [
    "Events",
    "FollowerLock",
    "Progress",
    "RunFolder",
    "RunRow",
    "Store",
    "folder_size",
    "home",
    "store_label",
]
