"""Plain lines that commands write: text of servers, peers and files is shown as text, nothing in it is a command."""

import click

from standby.text import visible


def echo(text: str, *, err: bool = False) -> None:
    """Lines of plain text; only the line breaks between them are ours."""
    click.echo("\n".join(map(visible, text.split("\n"))), err=err)
