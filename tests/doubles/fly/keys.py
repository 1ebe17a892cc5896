"""What the registry's login is signed with: a registry takes the tokens of whoever has the key."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime, timedelta

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ISSUER = "fly-double"


class Keys:
    """A key of its own, with its certificate for the registry's settings."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ISSUER)])
        now = datetime.now(UTC)
        self._signed = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = self._signed.public_bytes(serialization.Encoding.PEM).decode()

    def token(self, service: str, scopes: list[str], apps) -> str:
        """Return a token for the repositories among what is asked that are apps (as distribution has it)."""
        access = []
        for scope in scopes:
            kind, name, actions = scope.split(":")
            if name in apps:
                access.append({"type": kind, "name": name, "actions": actions.split(",")})
        now = int(time.time())
        times = {"nbf": now - 10, "iat": now, "exp": now + 300}
        claims = {"iss": ISSUER, "sub": "x", "aud": service, "jti": str(now), "access": access, **times}
        der = self._signed.public_bytes(serialization.Encoding.DER)
        return jwt.encode(claims, self._key, "ES256", headers={"x5c": [base64.b64encode(der).decode()]})
