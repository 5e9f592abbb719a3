"""What is on this machine's disk: the ledger, receipts, catalogs; files written durably."""
