"""The user's errors: one clear line, exit code 2, no traceback."""


class UserError(Exception):
    """Something that the user can mend; the text says what, and what is permitted."""
