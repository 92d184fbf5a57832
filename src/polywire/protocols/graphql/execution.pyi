from collections.abc import Callable
from typing import Any

from polywire.errors import Code, RpcError
from polywire.protocols.graphql.leaves import WrongValue
from polywire.protocols.graphql.nodes import Node
from polywire.runtime.call import Carrier
from polywire.runtime.runtime import Runtime

class Slow(Exception): ...

class Failed:
    def __init__(self, error: RpcError | WrongValue) -> None: ...
    error: RpcError | WrongValue

class Results:
    def __init__(self, objects: list[Any], values: list[Any]) -> None: ...
    def take(self, one: Any) -> Any: ...
    def find(self, one: Any) -> Any: ...

class Level:
    def __init__(self, node: Node) -> None: ...

class Execution:
    def __init__(
        self,
        runtime: Runtime,
        carrier: Carrier,
        variables: dict[str, Any],
        slots: int,
        timeout_s: float | None,
        then: Callable[[Execution], None],
    ) -> None: ...
    results: list[Results]
    code: Code
    metadata: tuple[tuple[bytes, bytes], ...]
    def run(self, root: Level, serially: bool = False) -> None: ...
    def run_beneath(self, root: Level, value: Any) -> None: ...
    def cancel(self, code: Code = ...) -> None: ...
