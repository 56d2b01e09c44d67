"""A lexer for C and C++ that separates comments, literals and preprocessor lines from other code.

Callers name the further tokens that they need, and get one pattern (see `lexer`) that finds those
outside of comments and literals, and these:

    comment                /* ... */ or // ..., the latter up to its line feed
    string, char, raw      a literal, from its prefix (raw) or first quotation mark to its last one
    unclosed               a string that is not closed on its line, up to the end of the line
    number                 with digit separators: 1'000'000 has no character literal
    if, else, endif        a conditional of the preprocessor, from its # to the end of its name;
                           else is #else, #elif, #elifdef or #elifndef
    message                #error or #warning, up to the end of the line: free text
    directive              the # and the name of any other preprocessor line

Unterminated comments and lone apostrophes are not tokens.
"""

import re
from collections.abc import Callable, Iterator

# A backslash splices lines, so that comments, strings and messages continue over them. Possessive
# repeats (*+, ++) keep the time linear.
TO_LINE_END = rb"(?: [^\\\n] | \\ (?: \r\n | . ) )*+"
IN_STRING = rb"(?: [^\"\\\n] | \\ (?: \r\n | . ) )*+"
TOKENS = rb"""
    (?P<comment>   /\* .*? \*/ | // TO_LINE_END )
  | (?P<raw>       (?<!\w) (?:u8|[uUL])? R" (?P<fence> [^()\\\s"]{0,16} ) \( .*? \) (?P=fence) " )
  | (?P<string>    " IN_STRING " )
  | (?P<unclosed>  " IN_STRING )
  | (?P<char>      ' (?: [^'\\\n] | \\ (?: \r\n | . ) )++ ' )
  | (?P<number>    (?<!\w) [0-9] (?: '? [\w.] )*+ )
  | ^ [ \t]*+ (?= \# ) (?:
        (?P<message>    \# [ \t]* (?: error | warning ) \b TO_LINE_END )
      | (?P<if>         \# [ \t]* if (?: n?def )? \b )
      | (?P<else>       \# [ \t]* (?: else | elif (?: n?def )? ) \b )
      | (?P<endif>      \# [ \t]* endif \b )
      | (?P<directive>  \# [ \t]* \w* )
    )
    """.replace(b"TO_LINE_END", TO_LINE_END).replace(b"IN_STRING", IN_STRING)


def lexer(others: bytes) -> Callable[[bytes], Iterator[re.Match[bytes]]]:
    """A function of a text that yields the tokens above and `others`, in the order of the text.

    others: further tokens, as alternatives of a verbose regular expression, each a named group. The
    `lastgroup` of a match is the kind of the token. A directive starts at `match.start(kind)`,
    after leading blanks.
    """
    pattern = re.compile(TOKENS + b"|" + others, re.VERBOSE | re.DOTALL | re.MULTILINE)

    def tokens(text: bytes) -> Iterator[re.Match[bytes]]:
        # After the last */ no comment is closed: at each /* there, as in src/*.c, the pattern would
        # look through all of the rest.
        last = text.rfind(b"*/") + 2 if b"*/" in text else 0
        return pattern.finditer(text[:last] + text[last:].replace(b"/*", b"/ "))

    return tokens
