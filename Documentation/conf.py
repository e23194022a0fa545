# SPDX-License-Identifier: GPL-2.0-only
"""How Sphinx builds these pages: make html"""

import re

project = "listenq"
copyright = "the listenq authors, GPL-2.0-only"
exclude_patterns = ["ABI", "examples"]
html_theme = "alabaster"
html_theme_options = {
    "description": "What the queues of listeners hold",
    "page_width": "62em",
    "body_max_width": "none",
}
html_copy_source = False

# In plain text, as in the kernel's own documentation, a page is named by its path.
PAGE = re.compile(r"(?<![`\w/])Documentation/([a-z-]+)\.rst")


def link_pages(_app, _docname, source):
    source[0] = PAGE.sub(r":doc:`Documentation/\1.rst </\1>`", source[0])


def setup(app):
    app.connect("source-read", link_pages)
    return {"parallel_read_safe": True}
