from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa

class _ArrowSchemaExporter(Protocol):
    def __arrow_c_schema__(self) -> object: ...

class _ArrowStreamExporter(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

__version__: str

def math_value(name: str, a: float, b: float, /) -> float | None: ...

class Cache:
    def __new__(
        cls, folder: str | None = None, disk_bytes_max: int = 0, memory_bytes_max: int = 0
    ) -> Cache: ...
    def configure(
        self, folder: str | None = None, disk_bytes_max: int = 0, memory_bytes_max: int = 0
    ) -> None: ...
    def stats(self, usage: bool = False, /) -> str: ...
    @classmethod
    def clear(cls, folder: str, /) -> int: ...

class Session:
    def __new__(
        cls,
        helper_path: str | None = None,
        compile_ms_max: int = 0,
        cpu_level: str | None = None,
        cache: Cache = ...,
    ) -> Session: ...
    def stats(self) -> str: ...

class Function:
    def __new__(
        cls,
        session: Session,
        blob: bytes,
        schema: _ArrowSchemaExporter,
        compile_off: bool = False,
        keys: Sequence[str] | None = None,
    ) -> Function: ...
    @property
    def params(self) -> tuple[tuple[int, str], ...]: ...
    @property
    def compiled(self) -> bool: ...
    @property
    def result_format(self) -> str: ...
    @property
    def key_formats(self) -> tuple[str, ...]: ...
    def report(self) -> str: ...
    def set_host(self, name: str | None, why: str | None, /) -> None: ...
    def text(self, what: str, /) -> str: ...

class Loop:
    """An inner loop of NumPy's; a capsule."""

def find_loop(ufunc: object, type: type, letter: str, /) -> Loop | None: ...
def call_loop(loop: Loop, count: int, arguments: tuple[object, ...], out: object, /) -> bool: ...

class Plan:
    def __new__(cls, session: Session, source_text: str, schema: _ArrowSchemaExporter) -> Plan: ...
    def with_columns(self, names: Sequence[str], functions: Sequence[Function], /) -> Plan: ...
    def filter(self, function: Function, /) -> Plan: ...
    def map(
        self, function: Function, columns: Sequence[str | None], names: Sequence[str], /
    ) -> Plan: ...
    def lowered(
        self,
        label: str,
        function: Function,
        is_filter: bool,
        columns: Sequence[str | None],
        names: Sequence[str],
        stages: Sequence[
            tuple[Function, tuple[tuple[str, Loop, str, tuple[int | float, ...]], ...]]
        ],
        schema: _ArrowSchemaExporter | None = None,
        mask: str | None = None,
        /,
    ) -> Plan: ...
    def select(self, names: Sequence[str], /) -> Plan: ...
    def project(self, columns: Sequence[str], names: Sequence[str], /) -> Plan: ...
    def batch(
        self, label: str, schema: _ArrowSchemaExporter | None, is_filter: bool, /
    ) -> Plan: ...
    def schema(self) -> pa.Schema | None: ...
    def explain(self) -> str: ...
    def compute(
        self, batch: object, from_c: Callable[[int, object], object], type: object, /
    ) -> Any: ...

class Run:
    def __new__(
        cls,
        plan: Plan,
        source: _ArrowStreamExporter | Iterable[tuple[object, int, object | None]],
        functions: tuple[tuple[object, ...], ...],
        batch_functions: Mapping[int, tuple[object, ...]],
        threads: int,
        morsel_rows: int,
        tier: int,
        interpret: Sequence[bool],
        operators: int,
        first_operator: int = 0,
        number_rows: bool = False,
        validate: bool = False,
        prompt: bool = False,
        guard: Callable[[int, int], Sequence[bool] | None] | None = None,
    ) -> Run: ...
    def next(self) -> tuple[pa.RecordBatch, int | bytes] | None: ...
    def cancel(self) -> None: ...
    def close(self) -> None: ...
    def report(self) -> str: ...
