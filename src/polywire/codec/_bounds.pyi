"""Nothing here is called from Python: `_bounds` serves the other native modules."""
