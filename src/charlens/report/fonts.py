"""Fonts for characters that the figures' own font lacks, such as Chinese ones."""

from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font, LoadFlags
from matplotlib.text import Text

OWN = "DejaVu Sans"  # comes with matplotlib, so it is the same everywhere


def covering(letters: str) -> tuple[list[str], set[str]]:
    """Installed fonts that have those of the letters which OWN lacks, the one that has the most
    first; and the letters that no font has."""
    return _covering(frozenset(letters) - frozenset("\n\t\r"))


@cache
def _covering(letters: frozenset[str]) -> tuple[list[str], set[str]]:
    own, *_ = has(font_manager.findfont(OWN), letters)
    if not (lacking := set(letters - own)):
        return [], set()
    fonts = [(path, *has(path, lacking)) for path in sorted(font_manager.findSystemFonts())]
    families = []
    while lacking and fonts:
        path, found, odd, family = min(fonts, key=lambda font: (-len(font[1] & lacking), font[2]))
        if not found & lacking:
            break
        font_manager.fontManager.addfont(path)  # it knows those of the time of its cache
        families.append(family)
        lacking -= found
    return families, lacking


def has(path: str, letters: set[str] | frozenset[str]) -> tuple[set[str], bool, str]:
    """Those of the letters that a font file has, whether it is other than an upright sans serif of
    normal weight, and its family."""
    try:
        font = FT2Font(path)
    except (RuntimeError, OSError):  # matplotlib cannot read it, as one of coloured bitmaps
        return set(), True, ""
    family = font.family_name
    odd = "Serif" in family or font.style_name not in ("Regular", "Book", "Normal", "Roman")
    return {letter for letter in letters if font.get_char_index(ord(letter))}, odd, family


def width(text: str, size: float) -> float:
    """The width of a line in inches, in a font of this size (points)."""
    _, lacking = covering(text)
    return sum(map(advance, spelled(text, lacking))) * size / 72


@cache
def advance(letter: str) -> float:
    """The width of a letter in OWN, as a share of the font's size; 1 where another font has it."""
    font = FT2Font(font_manager.findfont(OWN))
    glyph = font.get_char_index(ord(letter))
    if not glyph:
        return 1.0
    return font.load_glyph(glyph, LoadFlags.NO_SCALE).horiAdvance / font.units_per_EM


def shortened(text: str, inches: float, size: float) -> str:
    """A line that is no wider than this; where something is cut off, it ends in "…"."""
    if width(text, size) <= inches:
        return text
    while text and width(f"{text}…", size) > inches:
        text = text[:-1]
    return f"{text.rstrip()}…"


def wrapped(text: str, inches: float, size: float) -> list[str]:
    """A text in lines no wider than this, broken at spaces, and within a word that is too long."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".lstrip()
        if width(longer, size) <= inches:
            lines[-1] = longer
            continue
        lines += [""] * bool(lines[-1])
        for letter in word:
            lines += [""] * (lines[-1] != "" and width(lines[-1] + letter, size) > inches)
            lines[-1] += letter
    return lines


def spelled(text: str, lacking: set[str]) -> str:
    """The text with U+4E2D and the like in place of the characters that no font has."""
    return "".join(f"U+{ord(c):04X}" if c in lacking else c for c in text)


def provide(figure: Figure) -> None:
    """Give the texts of a figure the fonts that their characters need, and spell characters that no
    font has. (Labels of ticks are spelled by who sets them.)"""
    texts = [text for text in figure.findobj(Text) if not text.get_text().isascii()]
    families, lacking = covering("".join(text.get_text() for text in texts))
    for text in texts:
        text.set_fontfamily(list(dict.fromkeys([*text.get_fontfamily(), OWN, *families])))
        text.set_text(spelled(text.get_text(), lacking))
