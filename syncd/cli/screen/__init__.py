"""What people read of documents: tables and lines, and how they are printed."""
