"""Every way into the series installs the same tested versions, and copies files that exist."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _text(name):
    return (ROOT / name).read_text(encoding="utf-8")


def _pins():
    lines = (line for line in _text("constraints.txt").splitlines() if line and not line.startswith("#"))
    return {_normal(name): Version(version) for name, version in (line.split("==") for line in lines)}


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements():
    groups = [PROJECT["dependencies"], *PROJECT.get("optional-dependencies", {}).values()]
    return sorted({text for group in groups for text in group})


@pytest.mark.parametrize("requirement", _requirements())
def test_a_requirement_has_a_lower_bound_only_and_its_tested_version_fulfils_it(requirement):
    wanted = Requirement(requirement)
    assert [part.operator for part in wanted.specifier] == [">="]
    assert wanted.specifier.contains(_pins()[_normal(wanted.name)])


def test_the_tested_versions_run_on_the_first_release_of_each_python():
    """Debian 12 has Python 3.11.2, and a package may ask for 3.11.5."""
    python, releases = SpecifierSet(PROJECT["requires-python"]), [f"3.{minor}.0" for minor in range(9, 20)]
    releases = [release for release in releases if python.contains(release)]
    assert len(releases) == 3
    asked = {found.name: found.metadata.get("Requires-Python") for found in importlib.metadata.distributions()
             if _normal(found.name) in _pins()}
    assert len(asked) > 100
    assert [(name, wanted, release) for name, wanted in asked.items() for release in releases
            if wanted and not SpecifierSet(wanted).contains(release)] == []


def test_conda_and_the_container_install_by_the_same_pins_as_make():
    for name in ("environment.yml", "docs/Dockerfile", "Makefile"):
        assert re.search(r"--constraint constraints\.txt", _text(name)), name
    python = re.search(r"python=(\S+)", _text("environment.yml"))[1]
    assert f"FROM python:{python}-slim" in _text("docs/Dockerfile")


def test_conda_takes_python_and_pip_alone_and_leaves_the_rest_to_pip_as_make_does():
    *conda, pip = yaml.safe_load(_text("environment.yml"))["dependencies"]
    assert [re.match(r"[a-z]+", name)[0] for name in conda] == ["python", "pip"]
    assert SpecifierSet(PROJECT["requires-python"]).contains(conda[0].removeprefix("python="))
    make = re.search(r"pip install --quiet (.+) --editable \.$", _text("Makefile"), re.MULTILINE)[1]
    assert pip == {"pip": [make, "--editable ."]}


def test_no_dockerfile_stands_where_binder_would_take_it_for_the_environment():
    for folder in (ROOT, ROOT / "binder", ROOT / ".binder"):
        assert not (folder / "Dockerfile").exists()


def test_the_container_copies_only_what_is_there():
    copied = [name for line in re.findall(r"^COPY --chown=\w+ (.+) \S+$", _text("docs/Dockerfile"), re.MULTILINE)
              for name in line.split()]
    assert {"helpers", "notebooks", "data", "docs", "pyproject.toml"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_licence_is_named_where_tools_and_people_look_for_it():
    assert PROJECT["license"] == "MIT" and _text("LICENSE").startswith("MIT License")
    assert "](LICENSE)" in _text("README.md") and "## What is not ours" in _text("data/README.md")
