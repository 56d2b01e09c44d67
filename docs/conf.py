"""The documentation as a static site: make docs."""

project = "charlens"
author = "the charlens authors"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "charlens"
html_show_copyright = False
