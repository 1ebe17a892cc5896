"""Fly.io: its Machines API, spoken to without flyctl, and what is known of the person's account."""

from ccnb.fly.client import Client, Machine
from ccnb.fly.settings import Settings

__all__ = ["Client", "Machine", "Settings"]
