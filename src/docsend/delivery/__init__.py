"""The journey of submissions, one or many, to their receipts."""
