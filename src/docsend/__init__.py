"""docsend sends documents to a national insurance institute's document service."""

# A literal: importlib.metadata would cost four times the start of Python itself.
__version__ = "0.1.0"
