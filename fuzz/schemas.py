"""The message types that the codec targets read, each as our table and as a class of Google's runtime."""

from __future__ import annotations

from polywire.schema.types import Cardinality, Kind
from tests.codec.schemas import MAP_KEYS, MessageSpec, Schema, Spec, build

_LIST, _MAP, _SINGLE = Cardinality.LIST, Cardinality.MAP, Cardinality.SINGLE
_PLAIN = [kind for kind in Kind if kind not in (Kind.MESSAGE, Kind.UNION)]


def _specs() -> list[MessageSpec]:
    leaf = MessageSpec(
        (Spec(Kind.INT32, _SINGLE, None, False, 1, None), Spec(Kind.STRING, _SINGLE, None, True, 2, None))
    )
    branch = MessageSpec(
        (
            Spec(Kind.MESSAGE, _SINGLE, None, True, 1, leaf),
            Spec(Kind.UNION, _SINGLE, None, True, 2, leaf),
            Spec(Kind.MESSAGE, _LIST, None, False, 3, leaf),
        )
    )
    return [
        MessageSpec(tuple(Spec(kind, _SINGLE, None, False, 1 + i, None) for i, kind in enumerate(_PLAIN))),
        MessageSpec(tuple(Spec(kind, _SINGLE, None, True, 15 + i, None) for i, kind in enumerate(_PLAIN))),
        MessageSpec(tuple(Spec(kind, _LIST, None, False, 1 + i, None) for i, kind in enumerate(_PLAIN))),
        MessageSpec(
            tuple(Spec(kind, _MAP, MAP_KEYS[i % len(MAP_KEYS)], False, 1 + i, None) for i, kind in enumerate(_PLAIN))
        ),
        MessageSpec(
            (
                Spec(Kind.MESSAGE, _SINGLE, None, True, 1, branch),
                Spec(Kind.UNION, _SINGLE, None, True, 2, branch),
                Spec(Kind.MESSAGE, _LIST, None, False, 3, branch),
                Spec(Kind.UNION, _LIST, None, False, 4, branch),
                Spec(Kind.MESSAGE, _MAP, Kind.STRING, False, 5, branch),
                Spec(Kind.UNION, _MAP, Kind.UINT64, False, 6, branch),
                Spec(Kind.MESSAGE, _SINGLE, None, False, 2**29 - 1, leaf),
            )
        ),
    ]


SCHEMAS: list[Schema] = [build(spec) for spec in _specs()]
