"""Documents as people read them: tables and lines, and how they are printed."""
