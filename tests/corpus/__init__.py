"""Documents that are made here, and whether docsend judges them as other programs do: `make corpus`.

- `recipes`: what a recipe is, and all of them
- `contents`: fictional pages and pictures
- `pdfs`, `broken_pdfs`, `jpegs`, `pngs`, `tiffs`, `bmps`: the recipes by format; `programs`: made by others
- `accidents`: what happens to whole files on their way
- `judging`: asks docsend, as a user does; `editions`: which docsend
- `oracles`: asks the programs that show documents
- `report`: the tables
"""
