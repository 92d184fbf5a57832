"""A .proto file as Python: its messages, and an abstract service to derive one's own from."""

from polywire.contract.importer.modules import Imported, import_proto

__all__ = ["Imported", "import_proto"]
