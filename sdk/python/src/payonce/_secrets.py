"""Files whose content goes into no cache, by their names. The instance looks at values, too."""

from __future__ import annotations

import fnmatch
import os

_NAMES = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".pgpass", ".npmrc",
    ".pypirc", ".git-credentials", ".htpasswd", "credentials", "credentials.*", "secrets.*",
    "*.secret", "*.secrets", "shadow", "kubeconfig", ".dockercfg", "service-account*.json",
)  # fmt: skip
_FOLDERS = frozenset({".ssh", ".aws", ".gnupg", ".azure", ".kube", ".docker"})
_HARMLESS = (".env.example", ".env.sample", ".env.template")


def is_secret(path: str) -> bool:
    """Whether a file of this path is likely to hold keys or passwords."""
    folders = os.path.dirname(path).split(os.sep)
    if any(folder in _FOLDERS for folder in folders):
        return True
    name = os.path.basename(path).lower()
    if name in _HARMLESS:
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _NAMES)
