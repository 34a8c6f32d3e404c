"""Lists and tables that the documentation draws from the code: the options of commands, the fields of settings.

    <!-- options: train -->              the options of ``intent-bert train``
    <!-- settings: TrainingConfig -->    the fields of a settings dataclass, with default and help

MkDocs calls ``on_page_markdown`` for each page before it turns into HTML.
"""

import argparse
import re
from dataclasses import fields
from typing import Any

from intent_bert import config
from intent_bert.cli.arguments import GROUPS
from intent_bert.cli.command_line import build_parser


def on_page_markdown(markdown: str, **_: Any) -> str:
    markdown = re.sub(r"<!-- options: (\w+) -->", lambda match: options_of(match[1]), markdown)
    return re.sub(r"<!-- settings: (\w+) -->", lambda match: settings_of(match[1]), markdown)


def options_of(command: str) -> str:
    """A list for each group of options, as ``--help`` shows them."""
    (commands,) = [action.choices for action in build_parser()._actions if isinstance(action.choices, dict)]
    lists = []
    for group in commands[command]._action_groups:
        rows = [row(action) for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        if rows:
            title = f"**{group.title}**: {group.description}\n\n" if group.description else ""
            lists.append(title + "\n".join(rows))
    return "\n\n".join(lists)


def row(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else action.metavar or "|".join(map(str, action.choices or []))
    names = [f"{name} {value}".strip() for name in action.option_strings] or [str(action.metavar)]
    if isinstance(action, argparse.BooleanOptionalAction):
        names = action.option_strings
    help = str(action.help)
    if action.default not in (None, False, argparse.SUPPRESS) and action.option_strings:
        help += f" (default: {action.default})"
    return f"- {', '.join(f'`{name}`' for name in names)}: {help}"


def settings_of(name: str) -> str:
    """A table for each group of a dataclass's fields."""
    tables = []
    for group, what in GROUPS.items():
        rows = [
            f"| `{each.name}` | `{each.default!r}` | {cell(each.metadata['help'])} |"
            for each in fields(getattr(config, name))
            if each.metadata["group"] == group
        ]
        if rows:
            tables.append(f"**{group}**: {what}\n\n| name | default | what |\n|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(tables)


def cell(text: str) -> str:
    return text.replace("|", "\\|")
