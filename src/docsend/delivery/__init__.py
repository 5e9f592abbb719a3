"""Delivery of submissions, one or many: from the plan in the ledger to the stored receipt."""
