"""What common programs occupy in memory, measured: the file ``footprints.json`` as tables.

``forkbench footprints measure`` wrote the file; its provenance stands in it. Counts are of pages of 4 KiB, so a program
takes as many pages under a geometry with larger ones, and more memory than it would.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("footprints.json")


class Footprint(NamedTuple):
    """One program at the end of a short run, all counts in pages unless the name says otherwise.

    Parameters
    ----------
    name, version, run : str
        The program, what it says of its version, and the command that was run, without paths.
    vmas : int
        Mappings, the kernel's own two or three included.
    text, library, archive : int
        Resident pages that nobody has written: of the program's own file, of libraries, of other files.
    data, library_data : int
        Written pages of the private mappings of the program's own file, and of libraries and other files.
    heap, anon, stack : int
        Resident pages of brk, of anonymous mappings, and of the stack.
    leaf_tables, heap_tables, library_tables : int
        Leaf tables with a resident page; with one of heap or anonymous mappings and none of libraries; with one of
        libraries.
    page_table_kib : int
        VmPTE: tables of all levels below the topmost, in KiB.
    minor_faults : int
        From exec to the end.
    libraries : dict
        Base name of each library -> its resident pages, written ones included.
    """

    name: str
    version: str
    run: str
    vmas: int
    text: int
    library: int
    archive: int
    data: int
    library_data: int
    heap: int
    anon: int
    stack: int
    leaf_tables: int
    heap_tables: int
    library_tables: int
    page_table_kib: int
    minor_faults: int
    libraries: dict[str, int]

    @property
    def anon_pages(self) -> int:
        """Pages of its own: all that it has written."""
        return self.data + self.library_data + self.heap + self.anon + self.stack

    @property
    def file_pages(self) -> int:
        """Resident pages of files that it has not written."""
        return self.text + self.library + self.archive


def document(footprints: dict[str, Footprint], provenance: dict[str, Any]) -> str:
    """Return footprints as the text of a file that ``read`` reads: JSON, a program a line."""
    rows = [f"  {json.dumps(name)}: {json.dumps(each._asdict())}" for name, each in footprints.items()]
    programs = ",\n ".join(rows)
    return f'{{\n "provenance": {json.dumps(provenance)},\n "programs": {{\n {programs}\n }}\n}}\n'


def read(text: str) -> tuple[dict[str, Footprint], dict[str, str]]:
    """Return the footprints by name, and where they come from, of a file that ``document`` wrote.

    Raises
    ------
    KeyError, TypeError, ValueError
        The text is none.
    """
    found = json.loads(text)
    return {name: Footprint(**row) for name, row in found["programs"].items()}, found["provenance"]


FOOTPRINTS, PROVENANCE = read(FILE.read_text(encoding="utf-8"))
