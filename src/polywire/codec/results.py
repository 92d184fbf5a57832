"""The one error of encoding: a value that is not what the schema says."""


class WrongResult(Exception):
    """A value to be sent breaks its schema: a handler's mistake, so INTERNAL in every protocol.

    The text names the path and the types (`User.address.city: expected str, got int`), never the value: it goes to the log.
    """
