"""Ed25519 signatures of a sealed model: who made it. The keys are PEM files, as openssl writes them.

    openssl genpkey -algorithm ed25519 -out sealing.key      the private key, which signs; keep it to yourself
    openssl pkey -in sealing.key -pubout -out sealing.pub    the public key, which tells who has signed

The package ``cryptography`` computes; it is imported where a key is read.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Self

from intent_bert.errors import SettingsError, reason

ALGORITHM = "ed25519"


@dataclass(frozen=True)
class Signature:
    """What stands in ``signature.json``: the signature, and the fingerprint of the key that made it."""

    value: bytes
    key: str

    def to_dict(self) -> dict[str, str]:
        return {"algorithm": ALGORITHM, "key": self.key, "signature": base64.b64encode(self.value).decode()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Read what ``to_dict`` gave; of anything else comes a signature that no key has made."""
        try:
            value = base64.b64decode(str(values.get("signature")), validate=True)
        except (binascii.Error, ValueError):
            value = b""
        return cls(value if values.get("algorithm") == ALGORITHM else b"", str(values.get("key")))


class PrivateKey:
    """A key that signs."""

    def __init__(self, key: Any) -> None:
        self._key = key

    @classmethod
    def read(cls, path: str | PathLike) -> Self:
        """Read a private key, PEM without a password.

        Raises:
            SettingsError: the file can't be read, holds no such key, or the package is not installed.
        """
        serialization, ed25519 = _cryptography()
        try:
            key = serialization.load_pem_private_key(_content(path), password=None)
        except SettingsError:
            raise
        except Exception as error:  # of several kinds: no PEM, a password, an algorithm that it does not know
            raise SettingsError(_no_key(path, "private", reason(error))) from None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise SettingsError(_no_key(path, "private", f"it is a {type(key).__name__}"))
        return cls(key)

    def sign(self, content: bytes) -> Signature:
        """Sign these bytes."""
        return Signature(self._key.sign(content), _fingerprint(self._key.public_key()))


class PublicKey:
    """A key that tells whether its private one has signed something."""

    def __init__(self, key: Any, source: str) -> None:
        self._key, self.source = key, source

    @classmethod
    def read(cls, path: str | PathLike) -> Self:
        """Read a public key, PEM.

        Raises:
            SettingsError: the file can't be read, holds no such key, or the package is not installed.
        """
        serialization, ed25519 = _cryptography()
        try:
            key = serialization.load_pem_public_key(_content(path))
        except SettingsError:
            raise
        except Exception as error:
            raise SettingsError(_no_key(path, "public", reason(error))) from None
        if not isinstance(key, ed25519.Ed25519PublicKey):
            raise SettingsError(_no_key(path, "public", f"it is a {type(key).__name__}"))
        return cls(key, str(path))

    @property
    def fingerprint(self) -> str:
        """The sha256 of the key."""
        return _fingerprint(self._key)

    def has_signed(self, content: bytes, signature: Signature) -> bool:
        """Whether the signature is one of these bytes by this key."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(signature.value, content)
        except InvalidSignature:
            return False
        return True


def _fingerprint(public_key: Any) -> str:
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()


def _content(path: str | PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"can't read the key {path}: {reason(error)}") from error


def _no_key(path: str | PathLike, kind: str, why: str) -> str:
    made = "openssl genpkey -algorithm ed25519 -out KEY" if kind == "private" else "openssl pkey -in KEY -pubout"
    return f"{path} is no {kind} Ed25519 key in PEM form without a password ({why}): {made} writes one"


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519
    except ImportError:
        raise SettingsError("signatures need a package that is not installed: pip install cryptography") from None
    return serialization, ed25519
