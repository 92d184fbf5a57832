"""Nothing here is called from Python: `_buffer` serves the other native modules."""
