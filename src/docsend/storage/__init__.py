"""Files on this machine: the ledger, receipts, catalogs, and durable writes."""
