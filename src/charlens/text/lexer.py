"""A lexer for C and C++: comments, literals and preprocessor lines, told apart from other code.

What looks like code inside a comment or a literal is none. Whoever reads code says which further
tokens it looks for, and gets back one pattern (see `lexer`) that finds those and these:

    comment                /* ... */ or // ..., the latter up to its line feed
    string, char, raw      a literal, from its prefix (raw) or first quotation mark to its last mark
    unclosed               a string that its line does not close, up to the end of the line
    number                 1'000'000 holds no character literal
    if, else, endif        a conditional of the preprocessor, from its # to the end of its name;
                           else is #else, #elif, #elifdef or #elifndef
    message                #error or #warning, up to the end of the line: it may hold anything
    directive              the # and the name of any other preprocessor line

Unterminated comments and lone apostrophes are no tokens.
"""

import re

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


def lexer(others: bytes) -> re.Pattern[bytes]:
    """A pattern whose `finditer` yields the tokens above, and `others`, in the order of the text.

    others: further tokens, each a named group, as alternatives of a verbose regular expression. The
    `lastgroup` of a match is the token's kind; an `if` or other directive starts at
    `match.start(kind)`, after the blanks before it.
    """
    return re.compile(TOKENS + b"|" + others, re.VERBOSE | re.DOTALL | re.MULTILINE)
