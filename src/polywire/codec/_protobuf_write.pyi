"""Nothing here is called from Python: `_protobuf_write` serves `_protobuf`."""
