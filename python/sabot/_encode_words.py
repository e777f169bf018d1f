"""What reports call the forms of Python, and the builtins that the encoder knows by identity."""

from __future__ import annotations

import builtins

# Builtins known by identity: those that reach outside the function, and those that only have no compiled form.
IMPURE = {
    id(getattr(builtins, name)): name
    for name in [
        "print",
        "open",
        "input",
        "exec",
        "eval",
        "compile",
        "setattr",
        "delattr",
        "breakpoint",
        "__import__",
    ]
}
PLAIN = {
    id(getattr(builtins, name)): name
    for name in [
        "abs",
        "all",
        "any",
        "ascii",
        "bin",
        "bool",
        "bytes",
        "chr",
        "complex",
        "dict",
        "divmod",
        "enumerate",
        "filter",
        "float",
        "format",
        "frozenset",
        "hash",
        "hex",
        "int",
        "isinstance",
        "issubclass",
        "iter",
        "len",
        "list",
        "map",
        "max",
        "min",
        "next",
        "oct",
        "ord",
        "pow",
        "range",
        "repr",
        "reversed",
        "round",
        "set",
        "slice",
        "sorted",
        "str",
        "sum",
        "tuple",
        "type",
        "zip",
    ]
}

# Methods of builtin containers that change them, by the name of the class.
CHANGING = {
    "list": ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"],
    "dict": ["clear", "pop", "popitem", "setdefault", "update"],
    "set": [
        *("add", "clear", "difference_update", "discard", "intersection_update", "pop", "remove"),
        *("symmetric_difference_update", "update"),
    ],
    "bytearray": ["append", "clear", "extend", "insert", "pop", "remove", "reverse"],
}

# What each form of Python that has no node is called in a report.
FORMS = {
    "AsyncFor": "async for",
    "AsyncFunctionDef": "a nested function",
    "AsyncWith": "async with",
    "Assert": "assert",
    "Attribute": "attribute access",
    "Await": "await",
    "ClassDef": "a nested class",
    "Delete": "del",
    "Dict": "a dict",
    "DictComp": "a dict comprehension",
    "FunctionDef": "a nested function",
    "GeneratorExp": "a generator expression",
    "Import": "import inside a function",
    "ImportFrom": "import inside a function",
    "JoinedStr": "an f-string",
    "Lambda": "a lambda inside a function",
    "List": "a list",
    "ListComp": "a list comprehension",
    "Match": "match",
    "NamedExpr": "an assignment expression (:=)",
    "Raise": "raise",
    "Set": "a set",
    "SetComp": "a set comprehension",
    "Slice": "a slice",
    "Starred": "unpacking with *",
    "Subscript": "a subscript",
    "Try": "try",
    "TryStar": "try with except*",
    "Tuple": "a tuple",
    "TypeAlias": "a type alias",
    "With": "with",
    "Yield": "yield",
    "YieldFrom": "yield from",
}
# Statements of many lines are shown by the word they begin with.
KEYWORDS = {
    "AsyncFor": 5,
    "AsyncFunctionDef": 5,
    "AsyncWith": 5,
    "ClassDef": 5,
    "FunctionDef": 3,
    "Match": 5,
    "Try": 3,
    "TryStar": 3,
    "With": 4,
}
