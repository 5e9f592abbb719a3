"""Tables that are made here, and whether docsend reads them as they were meant: `make tables`.

- `contents`: rows, columns and labels
- `texts`, `books`: makers of text tables and of workbooks
- `kinds`: all kinds of tables, and how many of each
- `readers`: docsend's reader, and readers that docsend does not use for the format
- `judging`: what was lost, married or wrong; `report`: the tables of docs/tables-report.md, and the limits
"""
