"""Who may ask: a bearer token, compared in constant time; without one, only what runs on this machine.

A server without a token answers under the names of this machine alone and no page of another site: a browser that was
led here (DNS rebinding, a form on a foreign page) is refused.
"""

import hmac
import ipaddress
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from intent_bert.errors import SettingsError, reason
from intent_bert.serving.problems import Problem

TOKEN_VARIABLE = "INTENT_BERT_TOKEN"
OPEN_PATHS = frozenset({"/", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready"})  # they tell no secret
OPEN_FOLDER = "/pages/"


def read_token(file: str | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token that requests must bring: from a file, else from the environment, else None.

    Raises:
        SettingsError: the file can't be read, or what it holds is no token.
    """
    if file is not None:
        try:
            token, source = Path(file).read_text(encoding="utf-8").strip(), file
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"can't read the token in {file}: {reason(error)}") from None
    elif TOKEN_VARIABLE in environment:
        token, source = environment[TOKEN_VARIABLE].strip(), TOKEN_VARIABLE
    else:
        return None
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"{source} holds no token: expected one line of letters, digits and signs, without blanks")
    return token


def check_host(host: str, token: str | None, without_token: bool) -> None:
    """Refuse to listen to other machines without a token, unless told otherwise.

    Raises:
        SettingsError: so it is, or there is no such address.
    """
    if token is None and not without_token and not is_loopback(host):
        raise SettingsError(
            f"--host {host} lets other machines ask: set {TOKEN_VARIABLE} or --token-file FILE, or say --without-token"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host's addresses.

    Raises:
        SettingsError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"--host {host} is no address of this machine: {reason(error)}") from None
    return all(ipaddress.ip_address(str(each[4][0]).split("%")[0]).is_loopback for each in found)


class Access:
    """What a request must bring.

    Args:
        token: the bearer token; None where none is asked for.
        local_only: whether the server is to answer under this machine's own names alone.
    """

    def __init__(self, token: str | None = None, local_only: bool = True) -> None:
        self._expected = None if token is None else token.encode()
        self._local_only = local_only and token is None

    @property
    def has_token(self) -> bool:
        return self._expected is not None

    def check(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Let a request pass.

        Raises:
            Problem: 401 without the token; 403 under a foreign name or from a foreign page.
        """
        if self._expected is None and not self._local_only:
            return
        given = dict(headers)
        if self._local_only:
            _check_names(given.get(b"host", b""), given.get(b"origin"))
        elif path not in OPEN_PATHS and not path.startswith(OPEN_FOLDER):
            self._check_token(given.get(b"authorization", b""))

    def _check_token(self, header: bytes) -> None:
        scheme, _, token = header.partition(b" ")
        right = hmac.compare_digest(token.strip(), self._expected or b"")
        if scheme.lower() != b"bearer" or not right:
            said = "no token came" if not header else "it is another one"
            raise Problem(
                f"this server asks for a token ({said}): send the header Authorization: Bearer TOKEN",
                401,
                {"WWW-Authenticate": "Bearer"},
                reason="token",
                close=True,
            )


def _check_names(host: bytes, origin: bytes | None) -> None:
    name = host.rpartition(b":")[0] if host.rpartition(b":")[2].isdigit() else host
    if not _names_this_machine(name.decode("latin-1").strip("[]").lower()):
        raise Problem(
            "this server answers as localhost alone, and was called by another name: start it with a token",
            403,
            reason="host",
            close=True,
        )
    if origin is not None and origin.rpartition(b"://")[2].lower() != host.lower():
        raise Problem("this server answers no page of another site", 403, reason="origin", close=True)


def _names_this_machine(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:  # a name, and be it 127.0.0.1.evil.example
        return False
