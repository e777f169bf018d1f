"""`col(name)`: a column, named where a function or a plain name could stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sabot._checks import check_names, known
from sabot._errors import PlanError, TypeMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pyarrow as pa

    from sabot._chain import Chain
    from sabot._function import Scalar

    Operator = Callable[[Chain], Chain]


class Column:
    """A reference to a column of the stream that it is given to."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"col({self.name!r})"

    def __bool__(self) -> bool:
        raise PlanError(
            f"{self!r} stands for a whole column, which is neither true nor false; use a function of the column"
        )


class Applied:
    """A function of named columns, made by `apply`, or by a `udf` that is given columns."""

    __slots__ = ("fn", "name", "options", "values")

    def __init__(self, fn: Any, options: Any, values: Any, name: str) -> None:
        self.fn = fn
        self.options = options
        self.values = values
        self.name = name

    def __repr__(self) -> str:
        given = zip(self.values.columns, self.values.constants, strict=True)
        texts = [
            f"col({column!r})" if column is not None else repr(constant[0])
            for column, constant in given
            if column is not None or constant is not None
        ]
        return f"{self.name}({', '.join(texts)})"

    def __bool__(self) -> bool:
        raise PlanError(
            f"{self!r} stands for a whole column, which is neither true nor false; give it to filter or with_columns"
        )


def col(name: str) -> Column:
    """A column by its name, for `select`, `drop`, `with_columns` and `filter`.

    >>> import pyarrow as pa
    >>> from sabot import Stream, col
    >>> s = Stream.from_table(pa.table({"a": [1, 2], "ok": [True, False]}))
    >>> s.filter(col("ok")).with_columns(b=col("a")).collect().to_pydict()
    {'a': [1], 'ok': [True], 'b': [1]}

    Raises:
        PlanError: the name is no str.
    """
    given = cast("object", name)
    if not isinstance(given, str):
        raise PlanError(f"col takes the name of a column, not {type(given).__name__}")
    return Column(name)


def name_of(column: object) -> object:
    """A column's name, however it was given; anything else as it is."""
    return column.name if isinstance(column, Column) else column


def as_filter(column: Column, schema: pa.Schema | None) -> Scalar:
    """A Boolean column as the function that a filter takes.

    Raises:
        UnknownColumnError: there is no such column.
        TypeMismatchError: it is not Boolean.
    """
    import pyarrow.types as pt

    from sabot._function import bind_scalar

    schema = known(schema, "filter")
    check_names("filter", [column.name], schema)
    kind: Any = schema.types[schema.names.index(column.name)]
    if not pt.is_boolean(kind):
        raise TypeMismatchError(
            f"filter({column!r}): the column is {kind}, a filter takes a Boolean one; for a condition give a function"
        )
    return bind_scalar(_captured(column.name), schema, "filter", "a column")


def _captured(name: str) -> Any:
    """`lambda value: value` with the column's name as that of its parameter, which need not be an identifier."""
    import ast

    from sabot._capture import Captured, Param
    from sabot._encode import Header, encode

    tree: Any = ast.parse("lambda value: value", mode="eval").body
    tree.args.args[0].arg = tree.body.id = name
    captured = Captured()
    captured.fn = lambda value: value  # pyright: ignore[reportUnknownLambdaType]
    captured.name, captured.file, captured.first_line = "col", "", 1
    captured.record = ""
    captured.params = (Param(name, "positional", has_default=False, default=None),)
    captured.refusals, captured.annotations = (), {}
    captured.guards = captured.node = captured.owner = captured.source = captured.base = None
    captured.bound, captured.places = {}, (0,)
    header = Header("col", "", 1, 0, [name], [None])
    captured.blob = encode(header, tree, {}, str)
    return captured


def with_references(
    columns: Mapping[str, Any], functions: Callable[[Chain, dict[str, Any]], Chain]
) -> Operator:
    """with_columns where some columns are references, which see the input as the functions do.

    Parameters:
        functions: adds an operator for the functions among them.
    """
    references = {name: given.name for name, given in columns.items() if isinstance(given, Column)}
    rest = {name: given for name, given in columns.items() if not isinstance(given, Column)}

    def add(chain: Chain) -> Chain:
        before = known(chain.schema, "with_columns").names
        check_names("with_columns", references.values(), chain.schema)
        # What a function replaces is kept aside for the references to it.
        aside = {old: f"{old} before" for old in references.values() if old in rest}
        while any(name in before or name in columns for name in aside.values()):
            aside = {old: f"{name}'" for old, name in aside.items()}
        if aside:
            chain = project(chain, [*before, *aside], [*before, *aside.values()])
        chain = functions(chain, rest) if rest else chain
        names = list(dict.fromkeys([*before, *columns]))
        taken = [
            aside.get(references[name], references[name]) if name in references else name
            for name in names
        ]
        return project(chain, taken, names)

    return add


def project(chain: Chain, columns: Sequence[str], names: Sequence[str]) -> Chain:
    """The chain with a select of columns under new names."""
    return chain.then(chain.plan.project(columns, names))
