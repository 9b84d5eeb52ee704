"""Reports as pages for a browser: one per table with an index, or all of it in one file.

A page needs no server and no network: it is read from a file, on a phone, by keyboard and by screen reader, and without
scripts as plain tables. `page.py` has what a page shows; the templates beside it have the words' places.
"""
