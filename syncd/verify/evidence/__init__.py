"""The evidence that an auditor gets: the document, the report with its sums, and the bundle that repeats the verdict."""
