"""Nothing here is called from Python: `_json_tokens` serves `_json_read`."""
