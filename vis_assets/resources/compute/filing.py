"""Arrays, tables and texts as references to files, so that they never travel through Dask's scheduler.

A memory map of a `.npy` file is a reference at once, as is any run of its rows; all else is written to a file once per
call, uncompressed, so that a worker maps it instead of reading it. An array is as writeable there as it was here
(what is written to it stays with the worker): for compiled code that is part of its type.
"""

import dataclasses
import mmap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vis_assets.resources.compute.shelves import Place, Reader, Shelf

FEW_CHARACTERS = 10_000
"""Lists of texts with no more than this in all, each text counted as one more, travel as they are."""
_TABLE, _COLUMN, _TEXTS = "table", "column", "texts"
_ONLY = "values"
"""Name of the column in a file that holds one."""


@dataclasses.dataclass(frozen=True)
class ArrayReference:
    """An array in a file, C order.

    Attributes:
        place: of the file.
        offset: of the first number, in bytes.
        dtype: as numpy writes it.
        shape: of the array.
        mode: "r" for one that is read-only, "c" for one whose changes nobody else sees.
    """

    place: Place
    offset: int
    dtype: str
    shape: tuple[int, ...]
    mode: Literal["r", "c"]


@dataclasses.dataclass(frozen=True)
class ArrowReference:
    """An Arrow file (IPC) that holds a table, a column, or a list of texts.

    Attributes:
        place: of the file.
        kind: which of the three.
    """

    place: Place
    kind: str


@dataclasses.dataclass(frozen=True)
class RecordReference:
    """A dataclass, some of whose fields are references.

    Attributes:
        record: the class.
        fields: its fields by name.
    """

    record: type
    fields: Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class TupleReference:
    """A tuple, some of whose parts are references.

    Attributes:
        parts: of the tuple.
    """

    parts: tuple[Any, ...]


class Filing:
    """Turns values into references; what occurs in several arguments or calls is written once.

    Of earlier calls only what cannot have been changed since is known again: frozen dataclasses, and arrays that own
    their numbers and are not writeable.
    """

    def __init__(self, shelf: Shelf) -> None:
        """Write to this shelf."""
        self._shelf = shelf
        self._filed: dict[int, tuple[object, Any]] = {}

    def begin(self) -> None:
        """Forget what may be changed before the next call."""
        self._filed = {name: kept for name, kept in self._filed.items() if _is_frozen(kept[0])}

    def file(self, value: Any) -> Any:
        """Return what stands for the value: a reference, or the value itself where it is small.

        Raises:
            TypeError: an array of objects, which would have to be pickled.
        """
        if id(value) not in self._filed:
            self._filed[id(value)] = (value, self._file(value))  # the value is kept, so that its id stays its own
        return self._filed[id(value)][1]

    def _file(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, pa.Table):
            return self._arrow(value, _TABLE)
        if isinstance(value, pa.ChunkedArray | pa.Array):
            return self._arrow(pa.table({_ONLY: value}), _COLUMN)
        if isinstance(value, list | tuple):
            return self._sequence(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return self._record(value)
        return value

    def _array(self, array: npt.NDArray[Any]) -> Any:
        if array.dtype.hasobject:
            raise TypeError("an array of objects cannot be given to a worker; give an Arrow column or a list of texts")
        if array.size == 0:
            return array
        mode: Literal["r", "c"] = "c" if array.flags.writeable else "r"
        mapped = _mapped(array)
        if mapped is not None:
            file, offset = mapped
        else:
            file = self._shelf.new_file(".npy")
            array = np.ascontiguousarray(array)
            np.save(file, array, allow_pickle=False)
            offset = file.stat().st_size - array.nbytes
        return ArrayReference(self._shelf.offer(file), offset, array.dtype.str, array.shape, mode)

    def _sequence(self, values: Sequence[Any]) -> Any:
        if _are_many_texts(values):
            return self._arrow(pa.table({_ONLY: pa.array(values, pa.large_string())}), _TEXTS)
        if isinstance(values, tuple) and any(isinstance(p, np.ndarray) or dataclasses.is_dataclass(p) for p in values):
            return TupleReference(tuple(self.file(part) for part in values))
        return values

    def _arrow(self, table: pa.Table, kind: str) -> ArrowReference:
        file = self._shelf.new_file(".arrow")
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return ArrowReference(self._shelf.offer(file), kind)

    def _record(self, value: Any) -> Any:
        given = {option.name: getattr(value, option.name) for option in dataclasses.fields(value) if option.init}
        filed = {name: self.file(part) for name, part in given.items()}
        if all(filed[name] is given[name] for name in given):
            return value
        return RecordReference(type(value), filed)


def unfile(value: Any, reader: Reader) -> Any:
    """Return what a reference stands for; arrays map their files. Other values are returned as they are."""
    if isinstance(value, ArrayReference):
        path = reader.path_of(value.place)
        return np.memmap(path, np.dtype(value.dtype), value.mode, value.offset, value.shape, "C")
    if isinstance(value, ArrowReference):
        table = pa.ipc.open_file(pa.memory_map(str(reader.path_of(value.place)))).read_all()
        column = table if value.kind == _TABLE else table[_ONLY]
        return column.to_pylist() if value.kind == _TEXTS else column
    if isinstance(value, TupleReference):
        return tuple(unfile(part, reader) for part in value.parts)
    if isinstance(value, RecordReference):
        return value.record(**{name: unfile(part, reader) for name, part in value.fields.items()})
    return value


def _is_frozen(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.base is None and not value.flags.writeable
    return bool(getattr(getattr(value, "__dataclass_params__", None), "frozen", False))


def _are_many_texts(values: Sequence[Any]) -> bool:
    return sum(len(text) + 1 for text in values if isinstance(text, str)) > FEW_CHARACTERS and all(
        isinstance(text, str) for text in values
    )


def _mapped(array: npt.NDArray[Any]) -> tuple[Path, int] | None:
    """Return the file that an array maps and where in it the array begins; None where it maps none, or not in order."""
    mapping, memory = _origin(array)
    if mapping is None or mapping.filename is None or not array.flags.c_contiguous:
        return None
    file = Path(mapping.filename)
    if file.suffix != ".npy" or not file.exists() or mapping.mode != "r":  # what may be written to is copied
        return None
    first_mapped = mapping.offset - mapping.offset % mmap.ALLOCATIONGRANULARITY
    begins: int = array.ctypes.data - np.frombuffer(memory, np.uint8).ctypes.data
    return file, first_mapped + begins


def _origin(array: npt.NDArray[Any]) -> tuple["np.memmap[Any, Any] | None", Any]:
    """Return the memory map that an array is a view of, of whatever class the views between are, and its memory."""
    mapping, root = None, array
    while isinstance(root, np.ndarray) and root.base is not None:
        mapping = root if isinstance(root, np.memmap) else mapping
        root = root.base
    return (mapping, root) if isinstance(root, mmap.mmap) else (None, None)
