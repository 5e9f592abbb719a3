"""A keyring backend that never returns in time, like a locked collection whose prompt nobody sees."""

import time

from keyring.backend import KeyringBackend


class SleepingKeyring(KeyringBackend):
    priority = 1

    def get_password(self, service: str, username: str) -> str | None:
        time.sleep(60)
        return None

    def set_password(self, service: str, username: str, password: str) -> None:
        time.sleep(60)

    def delete_password(self, service: str, username: str) -> None:
        time.sleep(60)
