"""Errors that a user can cause and mend."""


class InputError(Exception):
    """Bad input: the message is one line that says what is wrong, where, and how to mend it."""
