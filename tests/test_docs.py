"""The pages of docs/: the made one is current, and what a page names is there."""

import re

from scripts.docs import page
from selfdistill.config.load import load_config
from selfdistill.config.schema import MachineSettings
from selfdistill.report.artefacts import declared


def texts(root):
    """Every page that people read, by its path."""
    paths = [root / "README.md", root / "CONTRIBUTING.md", root / "CHANGELOG.md", *(root / "docs").rglob("*.md")]
    return {path: path.read_text() for path in paths}


def test_the_made_page_is_the_one_that_make_docs_makes(repository):
    assert (repository / "docs/paper-gaps.md").read_text() == page(repository)


def test_every_link_leads_to_a_file_and_a_heading(repository):
    for path, text in texts(repository).items():
        prose = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
        for link, anchor in re.findall(r"\]\((?![a-z]+:)([^)#\s]*)#?([^)\s]*)\)", prose):
            target = (path.parent / link).resolve() if link else path
            assert target.exists(), (path.name, link)
            titles = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE) if anchor else []
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert not anchor or anchor in anchors, (path.name, link, anchor)


def test_the_index_has_every_page(repository):
    index = (repository / "docs/README.md").read_text()
    missing = {path.name for path in (repository / "docs").glob("*.md") if f"({path.name})" not in index}
    assert missing == {"README.md"}


def test_every_path_that_a_page_names_is_there(repository):
    folders = r"(?:docs|profiles|scripts|src|tests|workflow)"
    for path, text in texts(repository).items():
        named = [] if "0018" in path.name else re.findall(rf"`({folders}/[\w./-]+)`", text)
        planned = re.findall(r'title="([\w./-]+)', text)  # what a page shows how to make
        assert [name for name in named if not (repository / name).exists() and name not in planned] == [], path.name


def test_modules_that_the_architecture_names_are_there(repository):
    text = (repository / "docs/architecture.md").read_text()
    modules = {path.name for path in (repository / "src/selfdistill").rglob("*.py")}
    assert set(re.findall(r"`(\w+\.py)`", text)) <= modules
    packages = {path.parent.name for path in (repository / "src/selfdistill").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)) | {"cli"} >= packages


def test_the_architecture_names_every_stream_of_random_numbers(repository):
    text, package = (repository / "docs/architecture.md").read_text(), repository / "src/selfdistill"
    source = "".join(path.read_text() for path in package.rglob("*.py"))
    streams = set(re.findall(r'\b(?:seed_of|generator)\([\w.]+, f?"(\w+)', source))
    assert len(streams) > 10
    assert {name for name in streams if not re.search(rf"`{name}(?:/<\w+>)?`", text)} == set()


def test_the_page_of_outputs_has_every_artefact(repository):
    text = (repository / "docs/outputs.md").read_text()
    names = {one.name.format(sweep="<name>") for one in declared() if one.formats}
    assert {name for name in names if f"`{name}`" not in text and f"`{name}." not in text} == set()


def test_the_blocks_of_the_page_of_sweeps_are_configurations(repository, tmp_path):
    chosen, block = re.findall(r"```yaml\n(.*?)```", (repository / "docs/sweeps.md").read_text(), re.DOTALL)
    (tmp_path / "mine.yaml").write_text(f"protocol: mine\n{block}")
    files = [repository / "config.yaml", repository / "workflow/protocols/sweep.yaml", tmp_path / "mine.yaml"]
    assert len(load_config(files).rows) == 4  # T = 2, KD itself (T = 4), T = 8, the control
    files[-1].write_text(chosen)
    config = load_config(files)
    assert (config.rows, config.methods["kd"].alpha, config.data.holdout_images) == (["kd", "control"], 0.9, 0)


def test_the_page_of_the_configuration_has_every_protocol_and_key_of_class_run(repository):
    named = re.findall(r"`([\w_]+)`", (repository / "docs/configuration.md").read_text())
    protocols = {path.stem for path in (repository / "workflow/protocols").glob("*.yaml")}
    assert (protocols | MachineSettings.model_fields.keys()) - set(named) == set()
