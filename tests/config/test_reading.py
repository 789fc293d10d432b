import copy
import shutil
import subprocess
import sys

from snakemake.utils import update_config

from selfdistill.config.load import load_config
from selfdistill.config.reading import LIBRARY, merge, read_yaml
from selfdistill.system.failures import CONFIGURATION

BROKEN = {  # what is crafted with malice: tests/faults/test_hostile.py
    "a key twice": ("a: 1\nb: 2\na: 3\n", "line 3: key 'a' is given twice (first in line 1)"),
    "a key twice in braces": ("a: {b: 1, b: 2}\n", "line 1: key 'b' is given twice"),
    "a tab": ("a:\n\tb: 1\n", "line 2: found character '\\t' that cannot start any token"),
    "an open bracket": ("a: [1\n", "line 2: "),
    "nothing": ("", "expected keys and values, got null"),
    "a list": ("- a\n- b\n", "expected keys and values, got ['a', 'b']"),
    "an alias": ("a: &x [1]\nb: *x\n", "line 2: aliases are not allowed"),
    "a number as key": ("a: {1: x}\n", "line 1: expected a text as key, got 1"),
    "two documents": ("a: 1\n---\na: 2\n", "line 2: "),
    "an object": ("a: !!python/object/apply:os.system [true]\n", "line 1: tags are not allowed"),
    "a wrong date": ("a: 2025-02-30\n", "day"),
    "Latin-1": ("a: ä".encode("latin-1"), "unacceptable character #x00e4"),
}


def test_a_broken_file_is_named_with_its_line(tmp_path, refused):
    path = tmp_path / "mine.yaml"
    for content, what in BROKEN.values():
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with refused(CONFIGURATION, f"error: {path}: ", what):
            read_yaml(path)


def test_every_broken_or_missing_file_is_named_at_once(tmp_path, refused):
    (tmp_path / "a.yaml").write_text("a: 1\na: 2\n")
    with refused(CONFIGURATION, "a.yaml: line 2", "b.yaml: cannot be read"):
        load_config([tmp_path / "a.yaml", tmp_path / "b.yaml"])


def test_a_number_is_what_it_looks_like_or_text(tmp_path):
    """YAML 1.1 reads 010 as 8, 0x10 as 16, 1_0 as 10 and 1:30 as 90."""
    (tmp_path / "a.yaml").write_text(
        "odd: [010, 0x10, 0b1, 1_0, 1:30, 1_0.5, 1:30.5, +08]\nplain: [0, -7, +7, 0.5, .5, 1.]"
    )
    found = read_yaml(tmp_path / "a.yaml")
    assert found["odd"] == ["010", "0x10", "0b1", "1_0", "1:30", "1_0.5", "1:30.5", "+08"]
    assert found["plain"] == [0, -7, 7, 0.5, 0.5, 1.0]


# Laying one file over another


def test_mappings_merge_as_snakemakes_and_anything_else_is_replaced():
    base, before = ({"a": {"b": 1, "c": [1, 2]}, "d": 3} for _ in range(2))
    for over, expected in [
        ({"a": {"b": 9, "c": [3]}}, {"a": {"b": 9, "c": [3]}, "d": 3}),
        ({"a": 4, "d": None}, {"a": 4, "d": None}),
        ({"d": {"e": 5}, "f": {"g": 6}}, {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 5}, "f": {"g": 6}}),
    ]:
        theirs = copy.deepcopy(base)
        update_config(theirs, over)
        assert merge(base, over) == theirs == expected
        assert base == before


# The library


def test_the_library_lies_beneath_every_file(parsed, tmp_path, repository):
    (tmp_path / "mine.yaml").write_text(
        "methods: {born_again: {epochs: 7}}\nsweeps: {augmentation: {grid: {augmentation: [[crop]]}}}\n"
    )
    config = load_config([repository / "config.yaml", tmp_path / "mine.yaml"])
    assert (config.methods["born_again"].epochs, config.methods["born_again"].teacher) == (7, "control")
    assert config.sweeps["augmentation"].grid == {"augmentation": [["crop"]]}
    assert config.sweeps["augmentation"].methods == ["control", "kd", "self_distillation", "deep_supervision"]
    library = {name for path in LIBRARY for name in read_yaml(path).get("methods", {})}
    assert library.isdisjoint(parsed["methods"])
    assert set(config.methods) == library | parsed["methods"].keys()
    assert list(config.methods)[:4] == list(parsed["methods"])


def test_config_yaml_is_the_paper_alone(repository, parsed):
    assert len((repository / "config.yaml").read_text().splitlines()) <= 120
    assert list(parsed["methods"]) == parsed["rows"] == ["teacher", "kd", "self_distillation", "control"]


def test_the_library_is_found_from_any_folder_and_is_the_checkouts_own(repository, tmp_path):
    """A copy of only config.yaml, read by the package of another checkout that has another library."""
    shutil.copy(repository / "config.yaml", tmp_path / "mine.yaml")
    for name in ("src", "workflow"):
        ignored = shutil.ignore_patterns("__pycache__", "published")
        shutil.copytree(repository / name, tmp_path / "checkout" / name, ignore=ignored)
    methods = tmp_path / "checkout/workflow/methods.yaml"
    methods.write_text(methods.read_text() + "  kd_again: {like: kd, label: Another}\n")
    code = (
        "from selfdistill.config.load import load_config as read; print(read(['mine.yaml']).methods['kd_again'].label)"
    )
    options = {"cwd": tmp_path, "env": {"PYTHONPATH": "checkout/src"}, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "-c", code], **options)
    assert done.stdout == "Another\n", done.stderr
