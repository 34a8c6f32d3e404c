"""The command ``serve``: models behind HTTP. It imports no TensorFlow."""

import argparse
from dataclasses import fields
from importlib.util import find_spec
from typing import Any

from intent_bert.cli.arguments import add_command, add_engine
from intent_bert.errors import SettingsError

_NEEDED = ("starlette", "uvicorn", "prometheus_client")


def add_commands(commands: Any) -> None:
    from intent_bert.serving.settings import ServerSettings

    command = add_command(commands, "serve", "answer over HTTP", run_serve)
    command.add_argument(
        "models", metavar="MODEL_DIR|NAME=MODEL_DIR", nargs="+", help="model folders, the default first"
    )
    command.add_argument("--host", default="127.0.0.1", metavar="HOST", help="the address to listen on")
    command.add_argument("--port", type=int, default=8080, metavar="N", help="the port; 0 takes a free one")
    command.add_argument(
        "--token-file", metavar="FILE", help="holds the token that requests must bring (else: INTENT_BERT_TOKEN)"
    )
    command.add_argument(
        "--without-token", action="store_true", help="answer anybody who reaches the address, under any name"
    )
    add_engine(command)
    limits = command.add_argument_group("limits", "what is too much, and too slow")
    for each in fields(ServerSettings):
        flag, help = f"--{each.name.replace('_', '-')}", each.metadata["help"]
        if each.type is bool:
            limits.add_argument(flag, action="store_true", help=help)
        else:
            kind: Any = each.type
            limits.add_argument(flag, type=kind, default=each.default, metavar="N" if kind is int else "X", help=help)


def run_serve(options: argparse.Namespace) -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise SettingsError(
            f"serve needs packages that are not installed ({', '.join(missing)}): pip install 'intent_bert[serve]'"
        )
    from intent_bert.serving.access import Access, check_host, read_token
    from intent_bert.serving.logs import log_as_json
    from intent_bert.serving.metrics import Metrics
    from intent_bert.serving.models import Models, named_folders
    from intent_bert.serving.server import address_of, bind, run
    from intent_bert.serving.settings import ServerSettings

    settings = ServerSettings(**{each.name: getattr(options, each.name) for each in fields(ServerSettings)})
    folders = named_folders(options.models)
    token = read_token(options.token_file)
    check_host(options.host, token, options.without_token)
    with bind(options.host, options.port) as listening:
        models = Models(folders, settings, Metrics(), options.engine)
        names = ", ".join(folders)
        print(f"{names} at {address_of(listening)} (stop with Ctrl-C)", flush=True)
        log_as_json()
        run(models, Access(token, local_only=not options.without_token), listening)
