"""Downloads one pinned file of a Python package index: resumable, with progress, checked by SHA-256.

The index is the one that pip is configured to use (environment, pip.conf, else pip's own default), so mirrors and
proxies that work for pip work here. A partial download is kept beside the target as `NAME.part` and continued. With a
directory of local files in pip's `find-links`, the file is taken from there.
"""

import ast
import contextlib
import errno
import fcntl
import hashlib
import html.parser
import importlib.util
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 60
ATTEMPTS = 5
JSON_FORM = "application/vnd.pypi.simple.v1+json"


class DownloadError(Exception):
    """What was expected, what was found, what to do."""


def cache_dir():
    """PAYONCE_HOME, else the XDG cache directory's `payonce`."""
    home = os.environ.get("PAYONCE_HOME")
    if home:
        return pathlib.Path(home)
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base) / "payonce"


@contextlib.contextmanager
def locked(directory):
    """One process at a time works in `directory`; another waits, then finds the work done."""
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def pip_python():
    """A Python that has pip: this one, else (Debian's, without python3-pip) a virtual environment in the cache."""
    if importlib.util.find_spec("pip"):
        return sys.executable
    scratch = cache_dir() / "venv-pip"
    python = scratch / "bin" / "python"
    with locked(cache_dir()):  # two downloads at once
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(scratch)], check=True, stdout=sys.stderr)
    return str(python)


def output_of(command):
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else ""


def pip_settings():
    """pip's settings as {"index-url": …, "cert": …}; the environment goes before the files, as in pip."""
    python = pip_python()
    # Lines like global.index-url='https://…'; the last one of a name counts, and the environment's come last here.
    lines = output_of([python, "-m", "pip", "config", "list"]).splitlines()
    pairs = [line.partition("=") for line in lines if line.startswith(("global.", ":env:."))]
    pairs.sort(key=lambda pair: pair[0].startswith(":env:"))
    found = {key.rsplit(".", 1)[-1]: ast.literal_eval(value) for key, _, value in pairs}
    if "index-url" not in found:
        # Asked of pip, so that no host is named here.
        question = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
        found["index-url"] = output_of([python, "-c", question])
    if not found["index-url"]:
        raise DownloadError("pip names no package index. Set PIP_INDEX_URL")
    return found


class LinkReader(html.parser.HTMLParser):
    """Collects the links of an index page that answers HTML alone (PEP 503)."""

    def __init__(self):
        super().__init__()
        self.links = []

    def handle_starttag(self, tag, attrs):
        href = dict(attrs).get("href")
        if tag == "a" and href:
            self.links.append(href)


def opener_for(settings):
    context = ssl.create_default_context(cafile=settings.get("cert"))
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def find_url(opener, index, package, filename):
    """The address of `filename` on the index's page of `package` (JSON or HTML form), or None."""
    page = index.rstrip("/") + "/" + package + "/"
    request = urllib.request.Request(page, headers={"Accept": JSON_FORM + ", text/html;q=0.5"})
    with opener.open(request, timeout=TIMEOUT_S) as answer:
        body = answer.read()
        base = answer.geturl()
        is_json = "json" in answer.headers.get("Content-Type", "")
    if is_json:
        links = [file["url"] for file in json.loads(body)["files"]]
    else:
        reader = LinkReader()
        reader.feed(body.decode())
        links = reader.links
    for link in links:
        absolute = urllib.parse.urljoin(base, link)
        path = urllib.parse.urlsplit(absolute).path
        if urllib.parse.unquote(path.rsplit("/", 1)[-1]) == filename:
            return urllib.parse.urldefrag(absolute).url
    return None


class Progress:
    """One line on a terminal; a line for each tenth elsewhere."""

    def __init__(self, name, total):
        self.name, self.total, self.shown = name, max(total, 1), -1

    def show(self, done):
        percent = min(100, done * 100 // self.total)
        step = percent if sys.stderr.isatty() else percent // 10 * 10
        if step == self.shown:
            return
        self.shown = step
        text = f"{self.name}: {step:3d} % of {self.total / 1e6:.0f} MB"
        sys.stderr.write("\r" + text if sys.stderr.isatty() else text + "\n")
        if sys.stderr.isatty() and step == 100:
            sys.stderr.write("\n")
        sys.stderr.flush()


@contextlib.contextmanager
def room_for(path, size):
    """A full disk is no fault of the network: another try would fail as well."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(f"{path.parent}: no room for {size / 1e6:.0f} MB. Make room, or set PAYONCE_HOME "
                                "to a directory that has it") from error
        raise


def continue_download(opener, url, part, size):
    """Adds what is missing to `part`; a server without ranges starts it again."""
    have = part.stat().st_size if part.exists() else 0
    if have > size:
        part.unlink()
        have = 0
    if have == size:
        return
    headers = {"Range": f"bytes={have}-"} if have else {}
    with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S) as answer:
        if answer.status != 206:
            have = 0
        progress = Progress(part.name.removesuffix(".part"), size)
        with open(part, "ab" if have else "wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
                have += len(chunk)
                progress.show(have)
    if have != size:
        raise OSError(f"connection ended after {have} of {size} bytes")


def local_copy(settings, filename):
    for place in settings.get("find-links", "").split():
        candidate = pathlib.Path(place.removeprefix("file://")) / filename
        if candidate.is_file():
            return candidate
    return None


def locate(opener, settings, package, filename):
    failures = []
    for index in [settings["index-url"], *settings.get("extra-index-url", "").split()]:
        try:
            url = find_url(opener, index, package, filename)
        except (OSError, ValueError, KeyError) as error:
            failures.append(f"{index}: {error}")
            continue
        if url:
            return url
        failures.append(f"{index}: has no file {filename}")
    raise DownloadError(f"cannot find {filename}: {'; '.join(failures)}. Check the network and pip's index-url")


def get_part(settings, package, filename, size, part):
    """Completes `part`, in several attempts that each continue where the last one stopped."""
    opener = opener_for(settings)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with room_for(part, size):
                continue_download(opener, locate(opener, settings, package, filename), part, size)
            return
        except OSError as error:
            if attempt == ATTEMPTS:
                raise DownloadError(f"{filename}: {error}. Run the command again to continue") from error
            sys.stderr.write(f"{filename}: {error}; continuing ({attempt}/{ATTEMPTS})\n")
            time.sleep(attempt)


def download(package, filename, size, sha256, target):
    """Puts the file at `target` (a pathlib.Path), checked, or raises DownloadError."""
    if target.exists() and target.stat().st_size == size and sha256_of(target) == sha256:
        return
    settings = pip_settings()
    part = target.with_name(target.name + ".part")
    copy = local_copy(settings, filename)
    if copy:
        shutil.copyfile(copy, part)
    else:
        get_part(settings, package, filename, size, part)
    found = sha256_of(part)
    if found != sha256:
        part.unlink()
        raise DownloadError(f"{filename}: expected SHA-256 {sha256}, found {found}; deleted. "
                            "Run the command again; if it stays wrong, the index or a proxy changes the file")
    os.replace(part, target)


def main(arguments):
    if len(arguments) != 5:
        sys.stderr.write("usage: pypi_file.py PACKAGE FILE SIZE SHA256 TARGET\n")
        return 2
    package, filename, size, sha256, target = arguments
    try:
        download(package, filename, int(size), sha256, pathlib.Path(target))
    except (DownloadError, OSError) as error:
        sys.stderr.write(f"pypi_file: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
