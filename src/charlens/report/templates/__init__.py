"""Templates (Jinja) of all pages: the markup and the prose. `charlens.report.html` fills them in.

base.jinja      what every page is: head, style, heading
tables.jinja    macros for tables, and for what stands beside every corpus
*.jinja         one page each
"""
