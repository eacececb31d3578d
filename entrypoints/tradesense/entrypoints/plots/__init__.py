"""Charts as SVG text, and the page around them: from numbers to a string, the same string for the same numbers.

Nothing here knows what is measured. A page loads nothing from elsewhere, runs nothing, and says in a table what each
chart shows.
"""
