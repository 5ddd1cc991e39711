"""The page layer: every report page of the project is a tree of parts with two renderers.

``page_parts.py`` holds the parts (paragraph, table, picture, collapsible, ...) and explains how to
build a page. ``render_html.py`` writes one self-contained HTML file (``page.html.jinja``,
``parts.html.jinja``, ``page.css``); ``render_markdown.py`` writes Markdown with linked pictures.
"""
