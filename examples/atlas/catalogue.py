"""What the demo sells."""

from typing import NamedTuple


class Product(NamedTuple):
    name: str
    price_cents: int


PRODUCTS = {
    1: Product("Notebook", 490),
    2: Product("Fountain pen", 2900),
    3: Product("Ink, blue", 750),
    4: Product("Ink, black", 750),
    5: Product("Desk lamp", 5990),
    6: Product("Ruler", 220),
    7: Product("Paper, 500 sheets", 640),
    8: Product("Envelopes", 380),
    9: Product("Scissors", 890),
    10: Product("Globe", 7400),
}
"""By their ids."""
