"""Runs on disk: one SQLite file, and a folder for each run beside it."""

from ccnb.store.database import Progress, RunRow, Store
from ccnb.store.events import Events
from ccnb.store.folders import FollowerLock, RunFolder, folder_size, home

__all__ = ["Events", "FollowerLock", "Progress", "RunFolder", "RunRow", "Store", "folder_size", "home"]
