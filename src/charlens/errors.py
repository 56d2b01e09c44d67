"""User-fixable errors."""


class InputError(Exception):
    """Bad input: the message is one line that says what is wrong, where, and how to fix it."""
