"""The sandbox: a complete service that implements docsend's contract (openapi.yaml).

The sandbox is meant for trials, tests and support. It is not the institute. Nothing sent to it reaches
anybody. It reads the limits from the catalog, but enforces them with its own code. It must not import
`checks` or `service`.
"""
