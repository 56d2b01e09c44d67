"""Corpora.

corpus.py       fetch a text: its sources in order, the mirror, provenance
download.py     from a URL: retries, back-off, cache
archive.py      from the files of a source archive, by a recipe
package.py      from an installed Python package
reshuffle.py    its files in another random order
text_file.py    unpack it, decode it: gzip, UTF-16, byte order marks
checks.py       check it: size, symbols, digest
split.py        cut it into training, validation and test streams (section 4.1)
"""
