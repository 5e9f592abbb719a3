"""Tables that are made here, and whether docsend reads them as they were meant: `make tables`.

- `contents`: rows, columns and labels
- `texts`, `books`, `exports`: makers of text tables, and of workbooks with openpyxl and XlsxWriter
- `office`: starts LibreOffice; `office_makers`: tables that it saved, among them docsend's template
- `kinds`: all kinds of tables, and how many of each
- `readers`: docsend's reader, and readers that docsend does not use for the format, such as `office_reader`
- `judging`: what was lost, married or wrong; `report`: the tables of docs/tables-report.md, and the limits
"""
