"""`python -m charlens.backends.cpu` builds the library ahead of its first use, and reports."""

import sys

from charlens.backends.cpu import status
from charlens.errors import InputError

if __name__ == "__main__":
    try:
        isa, why = status()
    except InputError as error:
        sys.exit(f"charlens: error: {error}")
    print(f"fast backend: {why}" if isa else f"fast backend not used: {why}")
