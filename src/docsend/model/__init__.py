"""Value types for submissions, documents, receipts and the catalog, without I/O."""
