"""A document as HTML, Markdown, LaTeX and CSV; each escapes what it is given."""
