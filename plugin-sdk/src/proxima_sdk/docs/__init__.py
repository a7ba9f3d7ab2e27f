"""A plugin's pages, made from what is written in it: Markdown without HTML, for mkdocs as for a marketplace."""
