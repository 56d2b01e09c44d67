"""`python -m charlens.fast` builds the library ahead of its first use and says what came of it."""

import sys

from charlens.errors import InputError
from charlens.fast import status

if __name__ == "__main__":
    try:
        isa, why = status()
    except InputError as error:
        sys.exit(f"charlens: error: {error}")
    print(f"fast backend: {why}" if isa else f"fast backend not used: {why}")
