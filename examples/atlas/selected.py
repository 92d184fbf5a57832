"""What a caller over GraphQL has selected, so that nothing is fetched in vain."""

from polywire import current_call


def is_selected(field: str) -> bool:
    """Whether the caller wants this field of what the method returns; over other protocols it gets them all."""
    selection = current_call().selection
    return selection is None or field in selection
