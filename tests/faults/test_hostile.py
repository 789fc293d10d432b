"""Hostile input: files that try to run code, to escape a folder or to exhaust memory are refused; no canary is made.

What is damaged, foreign or merely wrong, and what unpacks to more than it may: tests/data/test_archives.py,
tests/models/test_weights.py and tests/config/test_reading.py. Hostile names and URLs: test_configuration.py.
"""

import io
import json
import os
import pickle
import re
import resource
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from helpers.reporting import report_settings, write_run
from helpers.snakemake_runs import Workflow
from helpers.tools import needs
from safetensors.torch import save

from selfdistill.config.load import load_config
from selfdistill.config.settings import NetworkSettings
from selfdistill.data.archives import read_cifar10
from selfdistill.data.prepared import read_prepared
from selfdistill.models.resnet import build_backbone
from selfdistill.models.weights import encode, read_weights
from selfdistill.report.artefacts import write
from selfdistill.report.results import Results
from selfdistill.system.failures import Failure, Failures
from selfdistill.system.files import canonical_json, sha256_of
from selfdistill.system.tensors import METADATA

ROOT = Path(__file__).parents[2]
FIRST = "cifar-10-batches-bin/data_batch_1.bin"


def outcome(read: Callable[[Path], Any], path: Path) -> str | None:
    """What is wrong with how a file is refused, None if nothing is."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        read(path)
        said = "was taken"
    except (Failure, Failures) as failure:
        said = None if failure.code in (65, 69, 78) and "\n" not in str(failure) else f"code {failure.code}: {failure}"
    except Exception as error:  # a crash is no refusal
        said = f"{type(error).__name__}: {error}"
    if time.process_time() - start > 5:  # however busy the machine is
        said = f"took {time.process_time() - start:.0f} s"
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > 600:  # MB; a whole CIFAR-10 has 184
        said = f"took {grown:.0f} MB"
    if [other for other in path.parent.parent.iterdir() if other != path.parent]:
        said = "made a canary"
    return said


# Archives


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "/etc/passwd") -> tuple:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info, content


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """An archive of these members."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def header_with(size: bytes) -> bytes:
    block = bytearray(member(FIRST)[0].tobuf())
    block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(1024)


OTHER_KINDS = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE)
ARCHIVES = {
    **{
        f"a name that leads to {name[:40]}": tar(member(name, b"x"), member(FIRST))
        for name in ("../canary", "/tmp/selfdistill-canary", "n" * 1_000_000)
    },
    **{f"a member of kind {kind}": tar(member(FIRST, kind=kind)) for kind in (*OTHER_KINDS, tarfile.GNUTYPE_SPARSE)},
    "link and a file through it": tar(member("a", kind=tarfile.SYMTYPE, link=".."), member("a/canary", b"x")),
    "negative size": header_with(b"\xff" * 12),
    "size of an exabyte": header_with(b"\x80" + b"\x7f" * 11),
    "size that is none": header_with(b"99999999999\0"),
}


def read_archive(path: Path) -> None:
    """The checksum is the file's own, so that only its content can be refused."""
    read_cifar10(path, sha256_of(path))


# Safetensors

SETTINGS = NetworkSettings(model="resnet18", stem="cifar", width=2, classes=10)


class Canary:
    """Makes the canary when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch canary",)


def with_header(header: bytes, body: bytes = b"", length: int | None = None) -> bytes:
    return (len(header) if length is None else length).to_bytes(8, "little") + header + body


def described(**entries: Any) -> bytes:
    """A header with two tensors and our metadata, changed."""
    header = {"__metadata__": {METADATA: "{}"}, "a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}} | entries
    return with_header(json.dumps(header).encode(), bytes(8))


def torch_file() -> bytes:
    file = io.BytesIO()
    torch.save(Canary(), file)
    return file.getvalue()


def safetensors() -> dict[str, bytes]:
    """Weights that somebody with malice has sealed again, and headers that claim what is not there."""
    deep = "[" * 100_000 + "]" * 100_000
    state, facts = dict(build_backbone(SETTINGS).state_dict()), SETTINGS.model_dump()
    return {
        "header of 2^63 bytes": with_header(b"{}", length=2**63),
        "header of 100 MB": with_header(b" " * 100_000_000),
        "metadata nested deeply": described(__metadata__={METADATA: deep}),
        "header nested deeply": with_header(deep.encode()),
        "metadata with NaN": save({"a": torch.zeros(1)}, {METADATA: '{"width": NaN}'}),
        "an overlap": described(b={"dtype": "U8", "shape": [4], "data_offsets": [2, 6]}),
        "beyond the end": described(b={"dtype": "U8", "shape": [99], "data_offsets": [4, 103]}),
        "a key twice": with_header(described()[8:-8].replace(b'"a"', b'"a": {}, "a"'), bytes(8)),
        "claims a billion classes": encode(state, facts | {"classes": 10**9}),
        "no seal": save(state, {METADATA: canonical_json(facts)}),
        "a false seal": encode(state, facts).replace(b"content_sha256", b"content_sha265"),
        "a pickle": pickle.dumps(Canary()),
        "a file of torch.save": torch_file(),
    }


def read_data(path: Path) -> None:
    read_prepared(path, "digits")


# YAML

YAMLS = {  # what is only broken, and other aliases and tags: tests/config/test_reading.py
    "python object": "protocol: !!python/object/apply:os.system ['touch canary']",
    "merge key": "defaults: {<<: {width: 16}}",
    "a huge integer": f"evaluate_every: {'9' * 5000}",
    "nested deeply": "protocol: " + "[" * 20_000 + "]" * 20_000,
    "control characters": b"protocol: a\x1bb",
    "key that is a list": "? [a]\n: 1",
    "key that forges a line": r'methods: {"a\nerror: b": {like: control, label: X}}',
}


def read_config(path: Path) -> None:
    load_config([ROOT / "config.yaml", path])


CASES = {  # the contents of files, and who reads such files
    "tars": (lambda: ARCHIVES, [read_archive]),
    "safetensors": (safetensors, [read_weights, read_data]),
    "YAMLs": (lambda: YAMLS, [read_config]),
}


@pytest.mark.parametrize("kind", CASES)
def test_hostile_input_is_refused(kind, tmp_path, figure, monkeypatch):
    made, readers = CASES[kind]
    cases, wrong = [(name, content, read) for name, content in made().items() for read in readers], []
    for index, (name, content, read) in enumerate(cases):
        path = tmp_path / f"box{index}" / "inside" / "file"
        path.parent.mkdir(parents=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        monkeypatch.chdir(path.parent.parent)
        if said := outcome(read, path):
            wrong.append(f"{name} ({read.__name__}): {said}")
    assert not list(tmp_path.rglob("canary*"))
    assert not Path("/tmp/selfdistill-canary").exists()
    figure(f"hostile {kind}", f"{len(cases) - len(wrong)}/{len(cases)} refused, no canary")
    assert "\n".join(wrong) == ""


# Labels

LABELS = [r"\input{/etc/passwd}", r"\write18{touch canary}", "% comment", "a & b", r"\\ \hline", "$x^2$", "{", "}"]
LABELS += ["#1 ~ ^ _", "^^5cinput{x}", r"\csname input\endcsname", "<script>alert(1)</script>", '"quoted" “quoted” ±']
COMMANDS = """begin end centering footnotesize caption label hspace toprule midrule bottomrule multicolumn emph
scriptsize raggedright textbackslash textasciitilde textasciicircum textless textgreater textbar pm par smallskip
noindent linewidth arraybackslash allowbreak shortstack"""


def make_evil_table(tmp_path: Path) -> Path:
    rows = [{"method": f"m{k}", "label": label} for k, label in enumerate(LABELS)]
    for row in rows:
        write_run(tmp_path / "logs", row["method"], 0, [0.1, 0.5])
    table = {"caption": r"\input{x} % & $ # _ { } ~ ^", "label": "tab:x", "show_best": True}
    settings = report_settings(rows=rows, table=table, reduced=r"\input{y} & more")
    write(Results(settings, tmp_path / "logs", tmp_path / "out"), "table")
    return tmp_path / "out"


def test_labels_are_text_for_latex(tmp_path):
    text = (make_evil_table(tmp_path) / "table1_float.tex").read_text()
    lines = [line for line in text.splitlines() if not line.startswith("%")]
    body = "\n".join(lines).replace("\\\\", "\n")  # what ends a line is no command
    assert set(re.findall(r"\\([A-Za-z]+)", body)) <= set(COMMANDS.split())
    assert "^^" not in "\n".join(lines)


@needs("pdflatex")
def test_labels_compile_and_run_nothing(tmp_path):
    out = make_evil_table(tmp_path)
    document = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{booktabs,array}"
    (out / "paper.tex").write_text(document + r"\begin{document}\input{table1_float}\end{document}")
    command = ["pdflatex", "-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=out, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    assert not list(tmp_path.rglob("canary*"))


def test_labels_and_paths_are_text_for_the_shell(tmp_path):
    """The workflow itself with a label and a path that a shell would run."""
    workflow = Workflow.make(tmp_path / "w")
    evil = "'; touch canary; \" $(touch canary) `touch canary` & | > canary \\ {seed} {0}"
    values = {"methods": {"control": {"label": evil}}, "table": {"caption": evil}, "rows": ["control"]}
    values["data"] = {"archives": [{"path": evil, "sha256": "0" * 64}]}
    name = workflow.write("evil.yaml", json.dumps(values))
    workflow.run("--until", "write_report_settings", "write_settings", "download_data", files=(name,))
    (path,) = workflow.folder.glob("results/demo/settings/report-*.yaml")
    settings = yaml.safe_load(path.read_text())
    assert settings["table"]["caption"] == evil
    assert not list(tmp_path.rglob("canary*"))
