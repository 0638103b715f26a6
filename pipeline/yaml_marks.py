"""YAML text -> plain data in which every value still knows its line.

Only what a study needs is let through: one document, mappings with text keys, lists and plain scalars.
Nesting, aliases and size are bounded, so that no file can exhaust the machine.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yaml

from pipeline.errors import Fault, Path

MAX_BYTES = 1 << 20  # a study of thousands of lines is still below 100 kB
MAX_DEPTH = 20  # a study needs 5; PyYAML's composer recurses in C and would overflow the stack
MAX_NODES = 100_000  # after aliases are followed, so that they cannot multiply without end

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the second where PyYAML was built without libyaml
_PLAIN_INT = re.compile(r"[-+]?(0|[1-9][0-9_]*)")
_SCALARS = ("int", "float", "bool", "null", "str")
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_TAB_LINE = re.compile(r"^( *\t[ \t]*)[^\s#]", re.MULTILINE)


@dataclass
class Document:
    """What a text says, where it says it, and what is wrong with it as YAML.

    Parameters
    ----------
    data : Any
        Dicts, lists and scalars; None if the text cannot be parsed.
    marks : dict
        Path of a value -> line and column, from 1; of a mapping's entry the key's.
    faults : list of Fault
        Syntax errors, tabs, duplicate keys, tags.
    parsed : bool
        Whether ``data`` means something.
    files : dict
        Path of a value -> the file that says it, of values that an included file says.
    """

    data: Any = None
    marks: dict[Path, tuple[int, int]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    parsed: bool = True
    files: dict[Path, str] = field(default_factory=dict)


def readings(text: str) -> list[Document]:
    """Return the ways to read a text: one, or several where tabs make its structure doubtful.

    A tab in an indentation stops YAML. To find the other faults all the same, the text is read with the tabs
    replaced, once for each guess at what they were meant to be; each reading has a fault for each such line.
    """
    document = _read(text)
    tabs = [] if document.parsed else _tab_faults(text)
    if not tabs:
        return [document]
    guesses = [_read(guess) for guess in dict.fromkeys(_without_tabs(text))]
    parsed = [guess for guess in guesses if guess.parsed] or guesses[:1]
    blamed = {fault.line for fault in tabs}
    for guess in parsed:
        guess.faults = tabs + [fault for fault in guess.faults if fault.line not in blamed]
    return parsed


def written(data: Any) -> str:
    """Return plain data as YAML that ``readings`` reads back."""
    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100))


def _tab_faults(text: str) -> list[Fault]:
    """Return a fault for each line that is indented with a tab."""
    message = "a tab in the indentation; YAML allows only spaces there; replace it by spaces"
    return [
        Fault(message, line=_line_at(text, match.start()), column=match.group(1).index("\t") + 1)
        for match in _TAB_LINE.finditer(text)
    ]


def _without_tabs(text: str) -> list[str]:
    """Return guesses at the text: a tab is 2, 4 or 8 spaces, or the line as deep as its neighbours."""
    lines = text.split("\n")
    return [
        *("\n".join(_widened(line, width) for line in lines) for width in (2, 4, 8)),
        "\n".join(_aligned(lines)),
        "\n".join(reversed(_aligned(lines[::-1]))),
    ]


def _widened(line: str, width: int) -> str:
    """Return the line with the tabs of its indentation as ``width`` spaces each."""
    match = _TAB_LINE.match(line)
    return line if match is None else match.group(1).replace("\t", " " * width) + line[match.end(1) :]


def _aligned(lines: list[str]) -> list[str]:
    """Return the lines, those indented with tabs as deep as the line before them."""
    depth, aligned = 0, []
    for line in lines:
        match = _TAB_LINE.match(line)
        aligned.append(line if match is None else " " * depth + line[match.end(1) :])
        if line.strip() and match is None:
            depth = len(line) - len(line.lstrip(" "))
    return aligned


def _line_at(text: str, position: int) -> int:
    """Return the line, from 1, of a character."""
    return text.count("\n", 0, position) + 1


def _read(text: str) -> Document:
    """Return the one way to read a text without tabs in its indentation."""
    node = None
    try:
        fault = _shape_fault(text)
        node = yaml.compose(text, Loader=_LOADER) if fault is None else None
    except UnicodeEncodeError as error:
        line, column = _line_at(text, error.start), error.start - text.rfind("\n", 0, error.start)
        fault = Fault("a character that is not UTF-8; write the text as UTF-8", line=line, column=column)
    except yaml.reader.ReaderError as error:
        fault = _character_fault(error, text)
    except yaml.MarkedYAMLError as error:
        fault = _depth_fault(error, text) or _syntax_fault(error)
    if node is None:
        empty = "the file is empty; a study names at least a question, designs and a workload"
        return _unreadable(fault or Fault(empty, line=1, column=1))
    return _Builder().document(node)


def _unreadable(fault: Fault) -> Document:
    """Return a document of which nothing but a fault is known."""
    return Document(faults=[fault], parsed=False)


def _character_fault(error: yaml.reader.ReaderError, text: str) -> Fault:
    """Return a character that YAML forbids as a fault with a line."""
    before = text.encode()[: int(error.position)].decode(errors="ignore")  # libyaml counts bytes
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    found = repr(text[len(before)]) if len(before) < len(text) else "at the end"
    return Fault(f"the character {found} is not allowed in YAML; remove it", line=line, column=column)


def _syntax_fault(error: yaml.MarkedYAMLError) -> Fault:
    """Return PyYAML's complaint as a fault with a line."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    context = f" ({error.context})" if error.context else ""
    message = f"not YAML: {error.problem or 'something is wrong here'}{context}; correct it"
    return Fault(message, line=line, column=column)


def _depth_fault(error: yaml.MarkedYAMLError, text: str) -> Fault | None:
    """Return where the text is nested too deep, if that is what stopped the parser.

    libyaml scans ahead, and some versions stop at a depth of their own before they deliver what came before it.
    """
    if "nesting depth" not in str(error.problem):
        return None
    with suppress(yaml.MarkedYAMLError):
        return _shape_fault(text, yaml.SafeLoader)
    return None


def _shape_fault(text: str, loader: Any = _LOADER) -> Fault | None:
    """Return what forbids composing the text: its size, nesting too deep or without end, or a second document."""
    if len(text) > MAX_BYTES:
        message = f"the file has {len(text):,} characters; {MAX_BYTES:,} are allowed; make it smaller"
        return Fault(message, line=1, column=1)
    open_: list[str | None] = []  # the anchors of the collections around, None for those without
    unfolded = _Unfolded()
    documents = 0
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            open_.pop()
        documents += isinstance(event, yaml.DocumentStartEvent)
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if isinstance(event, yaml.AliasEvent) and event.anchor in open_:
            message = (
                f"the alias *{event.anchor} stands inside the value that it names, so that contains itself"
            )
            return Fault(f"{message}; write the value out", line=line, column=column)
        if len(open_) > MAX_DEPTH:
            message = f"nested more than {MAX_DEPTH} levels deep; a study needs 5; flatten it"
            return Fault(message, line=line, column=column)
        if documents > 1:
            message = "a second document begins; a file holds one study; put the other in a file of its own"
            return Fault(message, line=line, column=column)
        if unfolded.take(event) > MAX_NODES:
            message = f"{_TOO_MUCH}; write values out"
            return Fault(message, line=line, column=column)
    return None


_TOO_MUCH = f"aliases unfold to more than {MAX_NODES:,} values or {MAX_DEPTH} levels"


class _Unfolded:
    """How many values a text has once aliases are followed, which is known without following them."""

    def __init__(self) -> None:
        self._named: dict[str, int] = {}
        self._open: list[tuple[str | None, int]] = []  # anchor, and the values before
        self._values = 0

    def take(self, event: yaml.Event) -> int:
        """Take the next event; return the values so far."""
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append((event.anchor, self._values))
            self._values += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = self._open.pop()
            if anchor is not None:
                self._named[anchor] = self._values - before
        elif isinstance(event, yaml.AliasEvent):
            self._values += self._named.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            self._values += 1
        return self._values


class _TooMuchError(Exception):
    """Following aliases leads to too many nodes or too deep; the argument is the node where it is noticed."""


class _Builder:
    """Turn composed nodes into a document."""

    def __init__(self) -> None:
        self._out = Document()
        self._nodes = 0

    def document(self, node: yaml.Node) -> Document:
        """Return the whole document."""
        try:
            self._out.data = self._value(node, (), node)
        except _TooMuchError as error:
            mark = error.args[0].start_mark
            message = f"{_TOO_MUCH}; write values out"
            return _unreadable(Fault(message, line=mark.line + 1, column=mark.column + 1))
        return self._out

    def _value(self, node: yaml.Node, path: Path, marked: yaml.Node) -> Any:
        """Return a node's data; ``marked`` is where a reader would look for it."""
        self._nodes += 1
        if self._nodes > MAX_NODES or len(path) > MAX_DEPTH:
            raise _TooMuchError(marked)
        self._out.marks[path] = (marked.start_mark.line + 1, marked.start_mark.column + 1)
        if isinstance(node, yaml.CollectionNode) and node.tag not in _COLLECTIONS:
            self._fault(
                node, path, f"tagged {node.tag!r}; plain lists and mappings are allowed; remove the tag"
            )
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index), item) for index, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        """Return a mapping; keys must be text, and each once."""
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in data:
                first = self._out.marks[(*path, key)][0]
                self._fault(key_node, (*path, key), f"duplicate key, first on line {first}; keep one of them")
                continue
            data[key] = self._value(value_node, (*path, key), key_node)
        return data

    def _key(self, node: yaml.Node, path: Path) -> str | None:
        """Return a key, None if it is not text."""
        if node.tag == "tag:yaml.org,2002:str":
            return str(node.value)
        if node.tag == "tag:yaml.org,2002:merge":
            self._fault(node, path, "the merge key '<<' is not supported; write the keys out")
        elif isinstance(node, yaml.ScalarNode):
            self._fault(node, path, f"the key {node.value!r} is not read as text; put it in quotes")
        else:
            self._fault(node, path, "a list or mapping is used as a key; keys are text; correct the line")
        return None

    def _scalar(self, node: yaml.Node, path: Path) -> Any:
        """Return a scalar, as YAML 1.1 reads it but for numbers that nobody means."""
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        text = node.value
        if kind not in _SCALARS:
            what = "read as a date" if kind == "timestamp" else f"tagged {node.tag!r}"
            self._fault(node, path, f"{text!r} is {what}; text and numbers are allowed; put text in quotes")
            return text
        odd = (kind == "int" and not _PLAIN_INT.fullmatch(text)) or (kind == "float" and ":" in text)
        if odd:
            message = (
                f"{text!r} is not decimal in YAML 1.1, but octal, hexadecimal or base 60; write it as decimal"
            )
            self._fault(node, path, message)
            return 0
        try:
            return yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, KeyError, yaml.YAMLError):
            self._fault(node, path, f"{text!r} is not what its tag {node.tag!r} says; remove the tag")
            return text

    def _fault(self, node: yaml.Node, path: Path, message: str) -> None:
        """Note a fault at a node."""
        mark = node.start_mark
        self._out.faults.append(Fault(message, path, mark.line + 1, mark.column + 1))
