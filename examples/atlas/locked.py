"""The committed contract, from which every service has its numbers.

`polywire contract write examples/atlas/app.py:app` writes it anew, `polywire contract check` says what would break.
"""

from polywire import contract_lock

LOCK = contract_lock("contract")
