"""What is handed to an auditor: the document, the report with its sums, and the bundle that repeats the verdict."""
