"""The command, in this process."""

from __future__ import annotations

import pytest

from pipeline import cli


def asked(capsys, *arguments):
    """Return exit code and output of a command."""
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, arguments)])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return ended.value.code, told.out + told.err
