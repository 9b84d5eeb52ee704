"""Reading pickles without unpickling: a stack machine that knows containers, numbers, text and bytes, and nothing else.

Whatever a pickle calls becomes a Note of the name and the arguments. Nothing is imported or called, and only plain
keys are hashed. A name that `allowed` refuses ends the reading. A file cannot make it recurse, reserve memory for
what is not there, or go on for ever: every step consumes bytes of the file, and steps are bounded.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Sized
from typing import Any

from bench.errors import UserError

MOST_STEPS = 1_000_000  # of one pickle; the largest public checkpoint has a tenth of it
CONTAINERS: dict[str, type] = {
    "collections.OrderedDict": dict,
    "dnnlib.util.EasyDict": dict,  # a dict whose entries are attributes too
    "builtins.set": set,
    "__builtin__.set": set,
}
# What a key may be: hashing a deep tuple would exhaust the stack.
PLAIN = (str, int, float, bool, bytes, type(None))
METADATA = "_metadata"  # a state dict's own note of its modules' versions, which no format here depends on
AS_IT_IS = {
    "INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
}  # fmt: skip
MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}


class Refused(Exception):
    """A pickle names something that is not allowed; the text is that name."""


class Damaged(Exception):
    """A pickle has something that no file read here has; the text says what."""


class Name:
    """A class or function that a pickle names."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Note:
    """A call that was not made: the callee's name, the arguments, and the state that was to follow."""

    __slots__ = ("args", "name", "state")

    def __init__(self, name: str, args: tuple[Any, ...]) -> None:
        self.name, self.args, self.state = name, args, None


def read_inert(
    file: Any,
    allowed: Callable[[str], bool],
    persistent: Callable[[Any], Any] | None = None,
    noted: Callable[[Note], Any] = lambda note: note,
) -> Any:
    """One pickle, from the file's position to its end mark: containers, numbers, texts, Names and Notes.

    file: open, or mapped to memory. allowed: whether the file may name a dotted name. persistent: turns a persistent id
    into a value. noted: turns a Note into a value.
    Raises Refused, Damaged, and nearly anything for a damaged pickle.
    """
    machine = _Machine(allowed, persistent, noted)
    for step, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if step >= MOST_STEPS:
            raise Damaged(f"more than {MOST_STEPS} steps")
        machine.step(opcode.name, argument)
    if len(machine.stack) != 1:
        raise Damaged("no single value")
    return machine.stack[0]


class _Machine:
    def __init__(
        self,
        allowed: Callable[[str], bool],
        persistent: Callable[[Any], Any] | None,
        noted: Callable[[Note], Any],
    ) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.allowed, self.persistent, self.noted = allowed, persistent, noted
        self.steps = self.copied = 0  # instructions read, and entries that containers were made of

    def step(self, code: str, argument: Any) -> None:
        self.steps += 1
        if code in AS_IT_IS:
            self.stack.append(argument)
        elif code in MADE:
            self.stack.append(MADE[code]())
        elif code in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[argument] = self.stack[-1]
        elif code == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif code in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[argument])
        elif code == "MARK":
            self.marks.append(len(self.stack))
        elif code not in ("PROTO", "FRAME", "STOP"):
            handler = getattr(self, f"_{code.lower()}", None)
            if handler is None:
                raise Damaged(f"the instruction {code}")
            handler(argument)

    def _since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def _last(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise Damaged("a value is missing")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def _pop(self, _: Any) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self, _: Any) -> None:
        self.stack.append(tuple(self._last(1)))

    def _tuple2(self, _: Any) -> None:
        self.stack.append(tuple(self._last(2)))

    def _tuple3(self, _: Any) -> None:
        self.stack.append(tuple(self._last(3)))

    def _list(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _append(self, _: Any) -> None:
        _typed(self.stack[-2], list).append(self.stack.pop())

    def _appends(self, _: Any) -> None:
        values = self._since_mark()
        _typed(self.stack[-1], list).extend(values)

    def _dict(self, _: Any) -> None:
        entries: dict[Any, Any] = {}
        _put(entries, self._since_mark())
        self.stack.append(entries)

    def _setitem(self, _: Any) -> None:
        pair = self._last(2)
        _put(self.stack[-1], pair)

    def _setitems(self, _: Any) -> None:
        pairs = self._since_mark()
        _put(self.stack[-1], pairs)

    def _additems(self, _: Any) -> None:
        values = self._since_mark()
        _typed(self.stack[-1], set).update(map(_key, values))

    def _frozenset(self, _: Any) -> None:
        self.stack.append(set(map(_key, self._since_mark())))

    def _global(self, argument: str) -> None:
        self._name(argument.replace(" ", "."))

    def _stack_global(self, _: Any) -> None:
        module, name = self._last(2)
        self._name(f"{_typed(module, str)}.{_typed(name, str)}")

    def _name(self, text: str) -> None:
        if text not in CONTAINERS and not self.allowed(text):
            raise Refused(text)
        self.stack.append(Name(text))

    def _reduce(self, _: Any) -> None:
        callee, args = self._last(2)
        name = _typed(callee, Name).text
        # One list that is made a set again and again fills the memory from a short file; an entry of a list is a step.
        if name in CONTAINERS:
            self.copied += sum(len(arg) for arg in _typed(args, tuple) if isinstance(arg, Sized))
        if self.copied > self.steps:
            raise Damaged("containers of more entries than the file has")
        value = _call(name, _typed(args, tuple))
        self.stack.append(self.noted(value) if isinstance(value, Note) else value)

    _newobj = _reduce

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Note):
            target.state = state
        elif not (isinstance(target, dict) and isinstance(state, dict) and state.keys() <= {METADATA}):
            raise Damaged(f"a state for a {type(target).__name__}")

    def _binpersid(self, _: Any) -> None:
        if self.persistent is None:
            raise Damaged("a persistent id")
        self.stack.append(self.persistent(self.stack.pop()))


def _call(name: str, args: tuple[Any, ...]) -> Any:
    if name not in CONTAINERS:
        return Note(name, args)
    items: list[Any] = list(*args)
    if CONTAINERS[name] is set:
        return set(map(_key, items))
    pairs: dict[Any, Any] = {}
    for pair in items:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise Damaged("an entry without a key")
        _put(pairs, list(pair))
    return pairs


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Damaged(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _key(value: Any) -> Any:
    flat = type(value) is tuple and all(type(part) in PLAIN for part in value)
    if type(value) not in PLAIN and not flat:
        raise Damaged(f"a {type(value).__name__} as a key")
    return value


def _put(target: Any, pairs: list[Any]) -> None:
    table = _typed(target, dict)
    if len(pairs) % 2:
        raise Damaged("a key without a value")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        table[_key(key)] = value


def shown(value: Any) -> str:
    """A value of a file for an error message: one short line, whatever it is and however deep."""
    if isinstance(value, Note):
        return f"what {value.name} makes"
    if isinstance(value, Name):
        return value.text
    if type(value) is int and value.bit_length() > 256:
        return "a number of more than 256 bits"
    if type(value) in PLAIN:
        text = ascii(value[:80] if isinstance(value, str | bytes) else value)
        return f"{text[:78]}..." if len(text) > 82 else text
    if isinstance(value, list | tuple) and len(value) <= 8 and all(type(item) in PLAIN for item in value):
        inside = ", ".join(map(shown, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    return (
        f"a {type(value).__name__} of {len(value)}"
        if isinstance(value, list | tuple | dict | set)
        else f"a {type(value).__name__}"
    )


def failure(where: str, error: Exception, kind: str) -> UserError:
    """The one line for what reading a file raised. kind: what the file should have been."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, Refused):
        return UserError(
            f"{where}: refers to {shown(str(error))[1:-1]}, which is not allowed; nothing of the file was executed"
        )
    detail = str(error) if isinstance(error, Damaged) else type(error).__name__
    return UserError(f"{where}: damaged, or not {kind} ({detail})")
