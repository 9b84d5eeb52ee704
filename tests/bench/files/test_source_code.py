"""Digests of code: what counts as a change of a part, and which files belong to it."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from bench.contract.composition import build_method
from bench.contract.discovery import methods
from bench.contract.expression import parse_method
from bench.errors import UserError
from bench.files import source_code
from bench.files.source_code import module_digest, without_comments


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `ownlib` with a part, a helper that it imports, and a module that it does not."""
    folder = tmp_path / "ownlib"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "part.py").write_text("import math\nfrom .helper import half\nfrom ownlib import other\n")
    (folder / "helper.py").write_text("def half(x):\n    return x / 2\n")
    (folder / "other.py").write_text("THIRD = 3\n")
    (folder / "stranger.py").write_text("ONE = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "ownlib"]:
        del sys.modules[name]


def _digest() -> str:
    return source_code.imported_again("ownlib.part")


@pytest.mark.parametrize("file", ["part.py", "helper.py", "other.py"])
def test_an_edit_of_the_part_or_of_what_it_imports_of_its_package_counts(package, file):
    before = _digest()
    (package / file).write_text((package / file).read_text() + "LATER = 1\n")
    assert _digest() != before


def test_other_files_comments_and_empty_lines_do_not_count(package):
    before = _digest()
    (package / "stranger.py").write_text("ONE = 2\n")
    (package / "helper.py").write_text("# half of it\n\ndef half(x):  # any number\n    return x / 2   \n\n")
    assert _digest() == before


def test_what_is_imported_is_what_counts(package):
    """Once a part has been taken up, an edit of its file does not change what this process runs."""
    before = _digest()
    (package / "part.py").write_text("EDITED = 1\n")
    assert module_digest("ownlib.part") == before
    assert source_code.imported_again("ownlib.part") != before


def test_blanks_and_hashes_inside_strings_stay():
    source = b'TEXT = """one  \n\n# two\n"""\nHASH = "#"  # no part of it\n'
    assert without_comments(source) == b'TEXT = """one  \n\n# two\n"""\nHASH = "#"'


# Lines with a comment, with a # that is none, or with both
LINES = (
    "a = 1  # one",
    """b = '#'  # "two" """,
    r"""c = "\\"  # three \\""",
    r"""d = 'it\'s # not'""",
    r"""e = r"\" # not" # four""",
    '''f = """a "quoted # word" and so on"""  # five''',
    """g = f"{'#'} # not"  # six""",
    '''h = f"""{1}\n# not\n"""  # seven''',
    """i = ("#"  # eight\n     "#")  # nine""",
    """j = '''\n# not  \n''' # ten  """,
    "# eleven '",
    """k = b'#' + b"'"  #""",
    "l = 1  # twelve \f thirteen",
    "m = '\\\n# not'",
)


def test_comments_are_found_where_python_finds_them():
    """Each line is looked at by itself where that is enough, which is what a plan of every table has time for."""
    for text in (f"{first}\n{second}\n" for first in LINES for second in LINES):
        for source in (text.encode(), text.replace("\n", "\r\n").encode()):
            left = without_comments(source)
            assert ast.dump(ast.parse(left)) == ast.dump(ast.parse(source)), text
            assert source_code.comments(left) == {}, text


def test_a_helper_of_one_of_our_methods_belongs_to_it():
    names = source_code.own_modules("bench.methods.disp")
    assert "bench.methods.common.priors" in names and all(name.startswith("bench.methods.") for name in names)


def test_a_module_without_source_is_refused():
    with pytest.raises(UserError, match="module 'math' has no source file"):
        module_digest("math")


PART = """
import json

import beside
import torch
from bench.train import Method


class WithHelper(Method):
    def g_loss(self, ctx, step):
        return {"more": beside.FACTOR * step.logits_N.square().mean()}
"""


def test_a_file_that_a_plug_in_imports_is_part_of_it_and_installed_packages_are_not(tmp_path, monkeypatch, load_plugin):
    helper = tmp_path / "beside.py"
    helper.write_text("FACTOR = 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    try:
        load_plugin(PART)
        (part,) = parse_method("with-helper")
        module = methods().entry("with-helper").target.partition(":")[0]
        assert set(source_code.own_modules(module)) == {module, "beside"}
        build_method((part,))
        helper.write_text("FACTOR = 7.0\n")
        source_code.imported_again(module)
        assert parse_method("with-helper")[0].source != part.source
        with pytest.raises(UserError, match="its source .* is not the one that this run was planned with"):
            build_method((part,))
    finally:
        sys.modules.pop("beside", None)


def test_what_pip_installed_anywhere_is_no_users_own(tmp_path, monkeypatch, load_plugin):
    (tmp_path / "elsewhere" / "beside-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "elsewhere" / "beside.py").write_text("FACTOR = 1.0\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    try:
        load_plugin(PART)
        module = methods().entry("with-helper").target.partition(":")[0]
        assert set(source_code.own_modules(module)) == {module}
    finally:
        sys.modules.pop("beside", None)


def test_the_code_of_a_network_is_known_without_importing_torch():
    """A plan and a report ask for it, and neither needs torch."""
    code = (
        "import sys; from bench.files.source_code import own_modules; "
        "files = own_modules('bench.networks.biggan.pair'); "
        "print('bench.networks.biggan.layers' in files, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
