"""Keychains of several tempers, for keyring to find by name: `PYTHON_KEYRING_BACKEND`, or `set_keyring`."""

from __future__ import annotations

import json
import os
import time

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class _Keychain(KeyringBackend):
    priority = 0.1  # below what is really there

    def set_password(self, service, username, password):
        raise NotImplementedError

    def delete_password(self, service, username):
        raise NotImplementedError


class Holding(_Keychain):
    """Holds what the variable KEYCHAIN says: JSON of services, in them accounts. Counts what it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def get_password(self, service, username):
        self.asked.append((service, username))
        return json.loads(os.environ.get("KEYCHAIN", "{}")).get(service, {}).get(username)


class Hanging(_Keychain):
    """Waits for a person who isn't there. Counts what it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def get_password(self, service, username):
        self.asked.append((service, username))
        time.sleep(600)


class Refusing(_Keychain):
    """Is locked, and says so with words of its own."""

    def get_password(self, service, username):
        raise KeyringLocked("denied: sk-ant-oat01-words-of-the-backend-with-a-token")


class Broken(_Keychain):
    """Fails as only a backend of somebody else can."""

    def get_password(self, service, username):
        raise ZeroDivisionError
