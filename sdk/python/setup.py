"""The wheel carries the program when PAYONCE_PROGRAM names its folder, as the tarball unpacks it; else it is pure."""

import os
import pathlib
import platform
import shutil

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

PROGRAM = os.environ.get("PAYONCE_PROGRAM", "")
# Beside the program: its libraries, the embedder, licences and the bill of materials; no manual, no service.
CARRIED = (
    "bin/payonce",
    "lib/payonce/*",
    "share/payonce/*",
    "share/doc/payonce/licenses/*",
    "share/doc/payonce/*.json",
)
if PROGRAM and not os.access(os.path.join(PROGRAM, "bin", "payonce"), os.X_OK):
    raise SystemExit(f"PAYONCE_PROGRAM is {PROGRAM!r}: no program at bin/payonce there")


class BuildWithProgram(build_py):
    def run(self) -> None:
        super().run()
        target = pathlib.Path(self.build_lib) / "payonce" / "program"
        shutil.rmtree(target, ignore_errors=True)
        if not PROGRAM or self.editable_mode:
            return
        for pattern in CARRIED:
            for file in sorted(pathlib.Path(PROGRAM).glob(pattern)):
                copy = target / file.relative_to(PROGRAM)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copy)


class DistributionOfPlatform(Distribution):
    def has_ext_modules(self) -> bool:  # so it belongs where a platform's own files go
        return bool(PROGRAM)


class WheelOfPlatform(bdist_wheel):
    def get_tag(self) -> tuple[str, str, str]:
        # Any Python 3: the program is no extension module.
        return ("py3", "none", f"linux_{platform.machine()}") if PROGRAM else super().get_tag()


setup(distclass=DistributionOfPlatform, cmdclass={"build_py": BuildWithProgram, "bdist_wheel": WheelOfPlatform})
