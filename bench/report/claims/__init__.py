"""Claims: sentences of the papers against our runs, and against the papers' own printed numbers.

`questions` makes a claim into comparisons, once for both; `scores` and `testing` answer them by our runs over seeds,
`by_print` by the printed numbers; `judge` puts it all into one result.
"""
