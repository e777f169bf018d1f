"""Columns as JSON: which types it holds, the values that `json` writes, and the text of each value.

The text is made by Arrow's kernels, also of nested columns from the texts of their parts: no value becomes a Python object, which
would hold the interpreter's lock.
"""

# The stubs of pyarrow leave the types of elements open.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeArgument=false

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute

pc: Any = pyarrow.compute  # its stubs lack some functions

encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_TEXT = pa.large_string()
_CONTROL = "[\\x00-\\x1f]"  # what JSON escapes in strings, beside the quote and the backslash


def json_type(type_: pa.DataType) -> pa.DataType | None:
    """The type whose Python values `json` can write; None: JSON does not hold it."""
    types = pa.types
    if isinstance(type_, pa.DictionaryType) or types.is_run_end_encoded(type_):
        return json_type(type_.value_type)
    if types.is_temporal(type_) and not types.is_interval(type_):
        return pa.int64() if types.is_duration(type_) else pa.large_string()
    if types.is_decimal(type_):
        return pa.large_string()
    if types.is_float16(type_):
        return pa.float32()
    if types.is_struct(type_):
        fields: list[Any] = [(field.name, json_type(field.type)) for field in type_]
        names = {name for name, _ in fields}
        if len(names) < len(fields) or any(inner is None for _, inner in fields):
            return None
        return pa.struct(fields)
    if types.is_map(type_):
        key, item = json_type(type_.key_type), json_type(type_.item_type)
        if key is None or item is None:
            return None
        return pa.large_list(pa.struct([("key", key), ("value", item)]))
    if (
        types.is_list(type_)
        or types.is_large_list(type_)
        or types.is_list_view(type_)
        or types.is_large_list_view(type_)
        or types.is_fixed_size_list(type_)
    ):
        inner = json_type(type_.value_type)
        return None if inner is None else pa.large_list(inner)
    flat = types.is_null(type_) or types.is_boolean(type_) or types.is_integer(type_)
    text = types.is_string(type_) or types.is_large_string(type_) or type_ == pa.string_view()
    return type_ if flat or text or types.is_floating(type_) else None


def json_array(array: pa.Array) -> list[Any]:
    """The Python values of a column that `json` writes: ISO strings for dates and times, lists for maps."""
    type_ = array.type
    if isinstance(array, pa.DictionaryArray):
        return json_array(array.dictionary_decode())
    if pa.types.is_run_end_encoded(type_):
        return json_array(pc.run_end_decode(array))
    if isinstance(array, pa.StructArray):
        parts = [json_array(part) for part in array.flatten()]
        names = [field.name for field in type_]
        valid = array.is_valid().to_pylist()
        rows = zip(*parts, strict=True) if parts else [()] * len(array)
        return [
            dict(zip(names, row, strict=True)) if ok else None
            for ok, row in zip(valid, rows, strict=True)
        ]
    if pa.types.is_nested(type_):
        return _json_lists(array)
    wanted = json_type(type_)
    assert wanted is not None
    return (array if wanted == type_ else _iso(array, wanted)).to_pylist()


def _iso(array: pa.Array, wanted: pa.DataType) -> pa.Array:
    type_ = array.type
    if pa.types.is_timestamp(type_):
        end = "" if type_.tz is None else "Z"
        plain = array.view(pa.timestamp(type_.unit))  # the time in UTC
        return pc.binary_join_element_wise(
            pc.replace_substring(plain.cast(pa.large_string()), " ", "T"),
            pa.scalar(end, pa.large_string()),
            pa.scalar("", pa.large_string()),
        )
    if pa.types.is_date(type_):
        return array.cast(pa.date32()).cast(pa.large_string())
    if pa.types.is_time(type_) or pa.types.is_decimal(type_):
        return array.cast(pa.string()).cast(pa.large_string())
    return array.cast(wanted)


def _json_lists(array: Any) -> list[Any]:
    """Lists and maps: the values once as one column, cut at each row's offset and length."""
    type_ = array.type
    if pa.types.is_map(type_):
        values = json_array(pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"]))
        offsets = array.offsets.to_pylist()
        ends = offsets[1:]
    elif pa.types.is_fixed_size_list(type_):
        values = json_array(array.values)
        offsets = [(array.offset + row) * type_.list_size for row in range(len(array))]
        ends = [start + type_.list_size for start in offsets]
    else:
        values = json_array(array.values)
        offsets = array.offsets.to_pylist()
        sizes = array.sizes.to_pylist() if hasattr(array, "sizes") else None
        ends = offsets[1:] if sizes is None else list(map(sum, zip(offsets, sizes, strict=True)))
    valid = array.is_valid().to_pylist()
    cuts = zip(valid, offsets[: len(valid)], ends, strict=True)
    return [values[start:end] if ok else None for ok, start, end in cuts]


def json_text(array: Any) -> pa.Array:
    """Each value of a column as JSON text, without nulls. Raises ValueError for what is not finite."""
    type_ = array.type
    types = pa.types
    if isinstance(array, pa.DictionaryArray):
        return json_text(array.dictionary_decode())
    if types.is_run_end_encoded(type_):
        return json_text(pc.run_end_decode(array))
    if types.is_struct(type_):
        parts = [json_text(part) for part in array.flatten()]
        keys = [("," if k else "{") + encode(field.name) + ":" for k, field in enumerate(type_)]
        pairs = [text for pair in zip(keys, parts, strict=True) for text in pair]
        texts = joined([*pairs, "}"]) if pairs else pa.array(["{}"] * len(array), _TEXT)
        return pc.if_else(array.is_valid(), texts, _text_scalar("null"))
    if types.is_nested(type_):
        return _json_list_text(array)
    if types.is_floating(type_):
        if pc.all(pc.is_finite(array)).as_py() is False:
            raise ValueError("not finite")
        wide = array.cast(pa.float32()) if types.is_float16(type_) else array
        texts = wide.cast(_TEXT)
        # Arrow writes 1.0 as 1, which would come back as an integer.
        whole = pc.invert(pc.match_substring_regex(texts, "[.e]"))
        texts = pc.if_else(whole, joined([texts, ".0"]), texts)
    elif types.is_boolean(type_) or types.is_integer(type_) or types.is_null(type_):
        texts = array.cast(_TEXT)
    elif types.is_duration(type_):
        texts = array.cast(pa.int64()).cast(_TEXT)
    elif types.is_temporal(type_) or types.is_decimal(type_):
        texts = joined(['"', _iso(array, _TEXT), '"'])
    else:
        texts = pc.replace_substring(array.cast(_TEXT), "\\", "\\\\")
        texts = pc.replace_substring(texts, '"', '\\"')
        if pc.any(pc.match_substring_regex(texts, _CONTROL)).as_py():
            for character in map(chr, range(0x20)):
                texts = pc.replace_substring(texts, character, encode(character)[1:-1])
        texts = joined(['"', texts, '"'])
    return texts.fill_null("null")


def _json_list_text(array: Any) -> pa.Array:
    """Lists of all kinds, and maps, which are lists of keys and values."""
    if pa.types.is_map(array.type):
        entries = pa.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
        # The sum makes a column of its own: nulls are not given beside offsets that are part of others.
        ends: Any = pc.add(array.offsets, 0)
        array = pa.ListArray.from_arrays(ends, entries, mask=array.is_null())
    sizes = pc.list_value_length(array).cast(pa.int64())
    ends = pc.cumulative_sum(sizes.fill_null(0))
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    lists = pa.LargeListArray.from_arrays(offsets, json_text(array.flatten()))
    texts = joined(["[", pc.binary_join(lists, _text_scalar(",")), "]"])
    return pc.if_else(array.is_valid(), texts, _text_scalar("null"))


def joined(parts: list[Any]) -> pa.Array:
    """Texts one after the other, row by row; a str is the same in every row."""
    given = [_text_scalar(part) if isinstance(part, str) else part for part in parts]
    return pc.binary_join_element_wise(*given, _text_scalar(""))


def _text_scalar(text: str) -> pa.Scalar[Any]:
    return pa.scalar(text, _TEXT)
