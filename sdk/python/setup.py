"""The wheel carries the program when PAYONCE_BINARY names it; otherwise it is a pure one."""

import os
import pathlib
import shutil
import stat

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

BINARY = os.environ.get("PAYONCE_BINARY", "")
if BINARY and not os.access(BINARY, os.X_OK):
    raise SystemExit(f"PAYONCE_BINARY is {BINARY!r}, no program")


class BuildWithBinary(build_py):
    def run(self) -> None:
        super().run()
        target = pathlib.Path(self.build_lib) / "payonce" / "bin" / "payonce"
        if BINARY and not self.editable_mode:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(BINARY, target)
            target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        else:
            shutil.rmtree(target.parent, ignore_errors=True)


class WheelForThisMachine(bdist_wheel):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = not BINARY

    def get_tag(self) -> tuple[str, str, str]:
        # Any Python 3: the program is no extension module.
        return ("py3", "none", "linux_x86_64") if BINARY else super().get_tag()


setup(cmdclass={"build_py": BuildWithBinary, "bdist_wheel": WheelForThisMachine})
