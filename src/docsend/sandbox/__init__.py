"""The sandbox: a whole service that keeps docsend's contract (openapi.yaml), for trying, testing and support.

It is not the institute, and nothing sent to it reaches anybody. It takes the rules' numbers from the
catalog and enforces them with code of its own: it imports neither `checks` nor `service`.
"""
