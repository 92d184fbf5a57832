"""The one error of encoding: a value that is not what the schema says."""


class WrongResult(Exception):
    """A value to be sent breaks its schema: a handler's mistake, so INTERNAL in every protocol.

    The text names the path and the types, never the value, because it goes to the log:
    `User.address.city: expected str, got int`.
    """
