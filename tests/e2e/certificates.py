"""Throw-away certificates by the openssl command: an authority, and one for a server that it signs."""

import dataclasses
import pathlib
import ssl
import subprocess


@dataclasses.dataclass
class Certificates:
    authority: pathlib.Path
    certificate: pathlib.Path
    key: pathlib.Path

    def server_context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def make(folder, names="DNS:localhost,IP:127.0.0.1"):
    """Writes them to `folder`; `names` are those that the certificate is for."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "authority.pem", folder / "server.pem", folder / "server.key")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    authority_key, request, extensions = folder / "authority.key", folder / "server.csr", folder / "extensions.txt"
    openssl("req", "-x509", *curve, "-keyout", authority_key, "-out", made.authority, "-days", 2,
            "-subj", "/CN=Test authority", "-addext", "basicConstraints=critical,CA:TRUE")
    openssl("req", *curve, "-keyout", made.key, "-out", request, "-subj", "/CN=localhost")
    extensions.write_text(f"subjectAltName={names}\n")
    openssl("x509", "-req", "-in", request, "-CA", made.authority, "-CAkey", authority_key, "-CAcreateserial",
            "-out", made.certificate, "-days", 2, "-extfile", extensions)
    return made
