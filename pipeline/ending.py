"""How a command ends: the only place where exceptions become exit codes.

Exit codes: 0 done; 1 some cells failed or were left; 2 the request was refused; 3 our fault.
"""

from __future__ import annotations

import traceback
import warnings
from typing import TYPE_CHECKING, Any

import click

from pipeline.errors import DatasetWarning, InterruptedRunError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

FAILED, REFUSED, OUR_FAULT = 1, 2, 3


def exit_code_of(work: Callable[[], int | None], command: str) -> int:
    """Do some work and return its exit code; what goes wrong is told on standard error.

    Parameters
    ----------
    work : callable
        Returns its exit code, None for 0.
    command : str
        What replays it, should we be wrong.
    """
    try:
        with warnings.catch_warnings():
            _tell_damage_in_a_line()
            return work() or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped; what was stored is safe; run the same command again to go on", err=True)
        return FAILED
    except RefusedError as error:
        click.echo(f"{error}", err=True)
        return FAILED if isinstance(error, InterruptedRunError) else REFUSED
    except OSError as error:
        # What the pipeline writes and reads it explains itself; what is left is standard output, or the machine.
        where = error.filename or "standard output"
        click.echo(f"{where}: {(error.strerror or str(error)).lower()}", err=True)
        return REFUSED
    except Exception:  # noqa: BLE001 - whatever it is, it is ours
        traceback.print_exc()
        click.echo("\nforkbench is wrong here, not your input. The command that replays it:", err=True)
        click.echo(f"  {command}", err=True)
        return OUR_FAULT


def _tell_damage_in_a_line() -> None:
    """Show warnings of damaged parts as notes, each once, all others as Python does."""
    as_ever = warnings.showwarning
    told: set[str] = set()

    def show_one(message: Any, category: type[Warning], *where: Any) -> None:
        if not issubclass(category, DatasetWarning):
            as_ever(message, category, *where)
        elif str(message) not in told:
            told.add(str(message))
            click.echo(f"note: {message}", err=True)

    warnings.showwarning = show_one  # type: ignore[assignment]
