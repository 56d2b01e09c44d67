"""Jinja templates of all pages: markup and prose. `charlens.report.html` renders them.

base.jinja      the frame of every page: head, style, heading
macros.jinja    macros for tables, and for the heading of a corpus
*.jinja         one page each
"""
