"""Nothing here is called from Python: `_times` serves the other native modules."""
