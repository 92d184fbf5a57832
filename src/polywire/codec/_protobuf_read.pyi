"""Nothing here is called from Python: `_protobuf_read` serves `_protobuf`."""
